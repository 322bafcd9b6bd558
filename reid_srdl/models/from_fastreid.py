"""ResNets as fast-reid (He et al. 2020) builds them: torchvision's and torchreid's but for one layer, which the weights do not show.

Its max-pooling after the first convolution rounds sizes up and does not pad, so that all later maps are shifted by a pixel. Before the summer
of 2020 it padded as the others do: ``NAME_padded``.
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
"""Name to a function that makes the same network by another library; its argument says whether ImageNet's weights are wanted."""


PADDED = "_padded"
"""Ending of the names of networks with the earlier max-pooling."""


def names() -> list[str]:
    """Names with their prefix."""
    return [f"fastreid:{name}{end}" for name in NETWORKS for end in ("", PADDED)]


def create(name: str, imagenet: bool, image_size: Size | None = None) -> Made:
    """fast-reid's ``name``, which returns a vector (B, D); ``image_size`` is not used. fast-reid's own last stride is 1: ask for it by ``last_stride``.

    Raises:
        UserError: an unknown name, or weights that cannot be fetched.
    """
    full, padded = f"fastreid:{name}", name.endswith(PADDED)
    name = name.removesuffix(PADDED)
    if name not in NETWORKS:
        raise no_such(full, [f"fastreid:{other}" for other in difflib.get_close_matches(name, NETWORKS, n=3) or NETWORKS])
    if imagenet and name == "resnet50_ibn_a":
        # torchreid would fill it with the weights of the plain network, without the instance normalisations.
        raise no_weights(full)
    made = NETWORKS[name](imagenet)
    if not padded:
        made.network.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
    return made
