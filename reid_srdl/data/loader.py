"""Batches ready for the network: fetched ahead in a thread, augmented on the device, divided among the ranks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..seeds import generator
from .ahead import fetched
from .augment import Augment, moved
from .images import ImageSource
from .samplers import Sampler

AHEAD = 2
"""Batches fetched before they are asked for."""


@dataclass(frozen=True)
class Batch:
    """A rank's share of a global batch.

    ``images`` float ``(b, 3, H, W)``; ``targets`` int64 ``(b,)`` in 0..C-1; ``indices`` int64 ``(b,)``, rows of the training split; ``total``,
    images in the global batch; ``step`` of the epoch.
    """

    images: torch.Tensor
    targets: torch.Tensor
    indices: torch.Tensor
    total: int
    step: int


def share(count: int, rank: int, world: int, piece: int = 1) -> tuple[int, int]:
    """The contiguous rows [start, stop), out of ``count``, that a rank takes, cut at multiples of ``piece``; shares differ by one piece at most."""
    pieces = -(-count // piece)
    return min(rank * pieces // world * piece, count), min((rank + 1) * pieces // world * piece, count)


class Loader:
    """Training batches of an epoch.

    Args:
        source: images of the training split.
        targets: int64 ``(N,)`` in 0..C-1.
        sampler: order of the images.
        augment: augmentation.
        seed: of the run.
        device: where batches go.
        rank, world: this process and how many there are.

    Attributes:
        waited: seconds that the consumer has waited for images since the epoch began.
    """

    def __init__(
        self,
        source: ImageSource,
        targets: np.ndarray,
        sampler: Sampler,
        augment: Augment,
        *,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.source, self.sampler, self.augment = source, sampler, augment
        self.targets = torch.from_numpy(np.asarray(targets, dtype=np.int64))
        self.seed, self.device, self.rank, self.world = seed, torch.device(device), rank, world
        self.waited = 0.0

    def __len__(self) -> int:
        """Steps an epoch."""
        return len(self.sampler)

    def epoch(self, stage: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step ``start`` on."""
        self.waited = 0.0
        order = list(self.sampler.batches(stage, epoch))
        began = time.perf_counter()
        for step, images in fetched(lambda step: self._fetched(self._mine(order[step]), stage, epoch), range(start, len(order)), AHEAD):
            self.waited += time.perf_counter() - began
            yield self._ready(images, order[step], stage, epoch, step)
            began = time.perf_counter()

    def _fetched(self, indices: np.ndarray, stage: int, epoch: int) -> torch.Tensor:
        images = self.source.batch(indices, stage, epoch)
        if self.device.type == "cpu" or images.device.type != "cpu":
            return images
        with torch.cuda.device(self.device):  # the current device is set for each thread separately
            return images.pin_memory()  # the GPU copies pinned memory by itself, while the previous step is computed

    def _mine(self, indices: np.ndarray) -> np.ndarray:
        start, stop = share(len(indices), self.rank, self.world)
        return indices[start:stop]

    def _ready(self, images: torch.Tensor, indices: np.ndarray, stage: int, epoch: int, step: int) -> Batch:
        draws = self.augment.draw(len(indices), generator(self.seed, "augment", stage, epoch, step))
        start, stop = share(len(indices), self.rank, self.world)
        mine = torch.from_numpy(indices[start:stop])
        rows, targets = moved(self.device, mine, self.targets[mine])
        return Batch(
            images=self.augment(images.to(self.device, non_blocking=True), draws.take(start, stop)),
            targets=targets,
            indices=rows,
            total=len(indices),
            step=step,
        )
