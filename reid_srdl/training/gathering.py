"""The rows of all processes in one tensor: a loss that compares images with each other sees the whole batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
from torch import Tensor


def gathered(rows: Tensor, counts: Sequence[int], rank: int) -> Tensor:
    """``(sum(counts), ...)``: the rows of every process in the order of their ranks; all of them call it together.

    Gradients flow into this process's own rows alone. A loss of the result is the same number in every process, and the gradients of it
    that the processes have add up to its whole gradient.

    Args:
        rows: ``(counts[rank], ...)`` of this process.
        counts: rows of each process.
        rank: of this process.
    """
    if len(counts) == 1:
        return rows
    # Collectives want equal shapes, and shares of a batch may differ by an image.
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    pieces = [torch.empty_like(padded) for _ in counts]
    torch.distributed.all_gather(pieces, padded)
    return torch.cat([rows if other == rank else piece[:count] for other, (piece, count) in enumerate(zip(pieces, counts, strict=True))])
