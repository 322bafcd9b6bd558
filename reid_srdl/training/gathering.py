"""The rows of all processes in one tensor: a loss that compares images with each other sees the whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor


def gathered(rows: Tensor, counts: Sequence[int], rank: int) -> Tensor:
    """``(sum(counts), ...)``: the rows of every process in the order of their ranks. All processes must call it.

    Gradients flow only into this process's own rows. A loss of the result has the same value in every process, and the gradients that the
    processes have of it add up to the whole gradient.

    Args:
        rows: ``(counts[rank], ...)`` of this process.
        counts: rows of each process.
        rank: of this process.
    """
    if len(counts) == 1:
        return rows
    # Collectives need equal shapes, and shares of a batch may differ by an image.
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    pieces = [torch.empty_like(padded) for _ in counts]
    torch.distributed.all_gather(pieces, padded)
    return torch.cat([rows if other == rank else piece[:count] for other, (piece, count) in enumerate(zip(pieces, counts, strict=True))])
