"""A batch in parts that pass through the network one after another and make one step together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..data.loader import Batch, share


@dataclass(frozen=True)
class Part:
    """A part of a step.

    Args:
        batch: this process's rows of the part; ``total`` stays that of the whole step, so that a mean over a part can be weighted in it.
        counts: rows of the part in each process.
        last: whether it is the last part of the step.
    """

    batch: Batch
    counts: tuple[int, ...]
    last: bool


def in_parts(batch: Batch, number: int, world: int) -> Iterator[Part]:
    """Cuts the shares that ``world`` processes have of a batch into ``number`` contiguous parts each, as equal as can be.

    There are fewer parts where a process would have a single image in one: BatchNorm needs two.
    """
    shares = [stop - start for start, stop in (share(batch.total, rank, world) for rank in range(world))]
    number = max(1, min(number, min(shares) // 2))
    sizes = [[count // number + (part < count % number) for part in range(number)] for count in shares]
    pieces = [torch.tensor_split(rows, number) for rows in (batch.images, batch.targets, batch.indices)]
    for part, (images, targets, indices) in enumerate(zip(*pieces, strict=True)):
        own = dataclasses.replace(batch, images=images, targets=targets, indices=indices)
        yield Part(own, tuple(size[part] for size in sizes), part + 1 == number)
