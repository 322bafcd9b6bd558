"""What a network costs: multiply-accumulates of a forward pass and of a run, and parameters."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from .modes import evaluating


@dataclass(frozen=True)
class Cost:
    """Forward multiply-accumulates of a run: of the training steps, of computing the soft targets (extraction), and of a teacher's own run."""

    training: int
    extraction: int
    teacher: int = 0

    @property
    def total(self) -> int:
        return self.training + self.extraction + self.teacher


def forward_macs(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-accumulates of one forward pass of one image, in evaluation.

    Convolutions and linear layers count, and the matrix products of attention; biases, BatchNorm, activations and
    pooling do not. That is the convention of the field's tables, whether they call it MACs, Flops or FLOPs: 4.09 G for
    a ResNet-50 at 224x224.

    The network runs on shapes alone (torch's fake tensors), so nothing is computed, and its weights, running
    statistics, gradients and modes stay as they are.

    Args:
        network: takes images (B, 3, H, W); on any device, ``meta`` too.
        size: (height, width) in pixels.
    """
    counter = FlopCounterMode(display=False)
    # The counter sees attention only as plain matrix products, and encoders only layer by layer, as they run where gradients are wanted.
    with evaluating(network), FakeTensorMode(allow_non_fake_inputs=True), sdpa_kernel(SDPBackend.MATH), torch.enable_grad(), counter:
        named = [*network.named_parameters(), *network.named_buffers()]
        shapes = {name: _shape_of(tensor) for name, tensor in named}
        functional_call(network, shapes, torch.empty(1, 3, *size, requires_grad=True))
    return counter.get_total_flops() // 2  # it counts the multiplication and the addition


def _shape_of(tensor: torch.Tensor) -> torch.Tensor:
    # Floats become float32 whatever the network's precision, so that they fit the image.
    return torch.empty(tensor.shape, dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype)


def parameters(network: nn.Module) -> int:
    """The number of values in a network's parameters, those held fixed (the shift of a ``bnneck``) included, running statistics not."""
    return sum(parameter.numel() for parameter in network.parameters())
