"""What is computed in float32 whatever precision autocast has chosen around it: in bf16 an embedding would keep 8 bits of each of its numbers."""

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
