"""The network as ``torch.compile`` makes it."""

from __future__ import annotations

import torch
from torch import nn


def compiled(network: nn.Module, device: torch.device, *, parts: int = 1, world: int = 1) -> nn.Module:
    """The compiled network, which shares its weights with ``network``.

    On a GPU small networks are limited by the launches of their kernels, not by arithmetic; there the forward and the backward pass are each captured
    as a CUDA graph, which is launched at once. A graph has a fixed batch size, so the last, smaller batch of an epoch has its own, and no image is
    left out. Gradients of a graph lie in its own memory, which the next pass overwrites, so where they are added up over ``parts`` of a batch,
    or over ``world`` processes, kernels are fused but nothing is captured.

    Args:
        network: the one that is trained.
        device: where it is trained.
        parts: number of parts of a batch whose gradients are added up (``optimiser.accumulate``).
        world: number of processes.
    """
    captured = device.type == "cuda" and parts == 1 and world == 1
    return torch.compile(network, mode="reduce-overhead" if captured else "default", dynamic=False)
