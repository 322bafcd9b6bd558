"""How a map (B, D, h, w) becomes a vector: its average, its largest values, or their generalised mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import UserError
from .full_precision import wide
from .making import Size, probe

Pooling = Literal["avg", "gem", "max"]

# Names of the pooling layer in torchvision, torchreid and timm.
LAYERS = ("avgpool", "global_avgpool", "global_pool")
# Types of that layer, in torch and in timm.
TIMM_S = "SelectAdaptivePool2d"
KINDS = ("AdaptiveAvgPool2d", TIMM_S)
# Image size of a trial where none is given: large enough for any backbone.
TRIAL = (128, 64)
# The smallest value that a power is taken of: at 0, the gradient with respect to p is NaN.
EPS = 1e-6


class GeM(nn.Module):
    """Generalised mean (Radenović et al. 2019): ``(mean over the map of max(x, EPS)^p)^(1/p)``, in float32; p is learnt.

    p = 1 is the average (with values below EPS raised to it); as p grows, the result approaches the largest value.
    """

    def __init__(self, p: float = 3.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * p)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, h, w) to (B, D, 1, 1)."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps.to(wide(maps.dtype))
            return functional.adaptive_avg_pool2d(maps.clamp(min=EPS).pow(self.p), 1).pow(1 / self.p)


class Average(nn.AdaptiveAvgPool2d):
    """The average in float32, whatever the precision of the maps."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, D, h, w) to (B, D, 1, 1)."""
        with torch.autocast(maps.device.type, enabled=False):
            return super().forward(maps.to(wide(maps.dtype)))


class _Pooled(nn.Module):
    """A network that returns maps, with a pooling layer after it."""

    def __init__(self, network: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D)."""
        return self.pool(self.network(images)).flatten(1)


def load_power(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Gives the network's ``GeM`` the power stored in a file, whatever prefix its name has there; returns the names in ``state`` that were used."""
    for name, module in network.named_modules():
        if isinstance(module, GeM):
            found = [key for key, value in state.items() if f".{key}".endswith(f".{name}.p") and value.shape == module.p.shape]
            if len(found) == 1:
                with torch.no_grad():
                    module.p.copy_(state[found[0]])
                return found
    return []


def with_pooling(network: nn.Module, pooling: Pooling, name: str, image_size: Size = TRIAL) -> nn.Module:
    """``network`` with another pooling than its own average; its other layers keep their names and weights.

    Args:
        network: maps images to a map or a vector; changed in place.
        pooling: ``gem``, ``max``, or ``avg``, which only makes the average be computed in float32.
        name: of the network, for errors.
        image_size: (height, width) of images that it takes.

    Raises:
        UserError: an unknown pooling, or a network without a pooling layer that could be replaced.
    """
    if pooling == "avg":
        for layer in LAYERS:
            found = getattr(network, layer, None)
            holder, name = (found, "pool") if type(found).__name__ == TIMM_S else (network, layer)
            averaging = getattr(holder, name, None)
            if type(averaging) is nn.AdaptiveAvgPool2d and averaging.output_size in (1, (1, 1)):
                setattr(holder, name, Average(1))
        return network
    if pooling not in ("gem", "max"):
        raise UserError(f"unknown pooling {pooling!r}", "Choose avg, gem or max.")
    pool: nn.Module = GeM() if pooling == "gem" else nn.AdaptiveMaxPool2d(1)
    for layer in LAYERS:
        kind = type(getattr(network, layer, None)).__name__
        if kind in KINDS:
            # timm's own layer flattens its output, except in networks whose next layer takes a 1x1 map.
            flat = kind == TIMM_S and not isinstance(getattr(network, layer).flatten, nn.Identity)
            setattr(network, layer, nn.Sequential(pool, nn.Flatten()) if flat else pool)
            return network
    if probe(network, image_size, name).ndim == 4:
        return _Pooled(network, pool)
    raise UserError(f"{name} has no pooling layer that could be {pooling}", "Use --model.pooling avg, or a network such as a ResNet.")
