"""The network as ``torch.compile`` makes it."""

from __future__ import annotations

import torch
from torch import nn


def compiled(network: nn.Module, device: torch.device, *, parts: int = 1, world: int = 1) -> nn.Module:
    """Shares its weights with ``network``.

    On a GPU small networks wait for the launches of their kernels, and not for arithmetic; there forward and backward pass are each captured
    as a CUDA graph and sent off at once. A graph is of one batch size, so that the last, smaller batch of an epoch has its own, and no image is
    left out. Gradients of a graph lie in its own memory, which the next pass writes over, so where they are added up over ``parts`` of a batch,
    or over ``world`` processes, kernels are fused but nothing is captured.

    Args:
        network: that is trained.
        device: where.
        parts: of a batch whose gradients are added up (``optimiser.accumulate``).
        world: processes.
    """
    captured = device.type == "cuda" and parts == 1 and world == 1
    return torch.compile(network, mode="reduce-overhead" if captured else "default", dynamic=False)
