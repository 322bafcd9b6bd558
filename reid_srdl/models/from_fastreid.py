"""ResNets as fast-reid (He et al. 2020) builds them: torchvision's and torchreid's but for one layer, which weights do not show.

Its max-pooling behind the first convolution rounds up and adds no margin, so that all later maps are shifted by a pixel. Before the summer of
2020 it padded as everybody's: ``NAME_padded``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from torch import nn

from . import from_torchreid, from_torchvision
from .making import Made, Size, no_such, no_weights

NETWORKS: dict[str, Callable[[bool], Made]] = {
    **{name: lambda imagenet, name=name: from_torchvision.create(name, imagenet) for name in ("resnet18", "resnet34", "resnet50", "resnet101")},
    "resnet50_ibn_a": lambda imagenet: from_torchreid.create("resnet50_ibn_a", imagenet),
}
"""Name to the same network of another library; whether ImageNet's weights are wanted is its argument."""


PADDED = "_padded"
"""What the name of a network with the earlier max-pooling ends with."""


def names() -> list[str]:
    """Names with their prefix."""
    return [f"fastreid:{name}{end}" for name in NETWORKS for end in ("", PADDED)]


def create(name: str, imagenet: bool, image_size: Size | None = None) -> Made:
    """fast-reid's ``name``, to a vector (B, D); ``image_size`` makes no difference to it. Its own last stride is 1: say so with ``last_stride``.

    Raises:
        UserError: unknown, weights that cannot be had.
    """
    full, padded = f"fastreid:{name}", name.endswith(PADDED)
    name = name.removesuffix(PADDED)
    if name not in NETWORKS:
        raise no_such(full, [f"fastreid:{other}" for other in difflib.get_close_matches(name, NETWORKS, n=3) or NETWORKS])
    if imagenet and name == "resnet50_ibn_a":
        # torchreid would fill it with those of the plain network, instance normalisations left out.
        raise no_weights(full)
    made = NETWORKS[name](imagenet)
    if not padded:
        made.network.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
    return made
