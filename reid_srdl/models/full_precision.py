"""Layers that compute in float32 whatever precision autocast sets around them: in bf16, each number of an embedding would keep only 8 bits."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def wide(dtype: torch.dtype) -> torch.dtype:
    """float32; float64 stays what it is."""
    return torch.promote_types(dtype, torch.float32)


class FullPrecision(nn.Sequential):
    """Layers one after another, in float32; names and weights are those of a ``Sequential``."""

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, enabled=False):
            return super().forward(inputs.to(wide(inputs.dtype)))
