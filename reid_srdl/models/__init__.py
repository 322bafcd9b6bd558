"""Networks by name: ``build("resnet50", num_classes=751)`` is an :class:`IdentityClassifier`."""

from __future__ import annotations

from ..config import ModelConfig
from ..errors import UserError
from ..registered import Target
from .backbones import create
from .classifier import IdentityClassifier, Neck, Output
from .pooling import Pooling

__all__ = ["BACKBONES", "IdentityClassifier", "Output", "build", "configured"]

# The package's own networks: a name to a function, or to the place of one ("module:function"). The function takes no arguments and returns a
# module that maps images (B, 3, H, W) to a map (B, D, h, w) or a vector (B, D), with D as its attribute ``dimension``.
BACKBONES: dict[str, Target] = {
    "resnet32": "reid_srdl.models.resnet_cifar:resnet32",
    "resnet110": "reid_srdl.models.resnet_cifar:resnet110",
    "resnet32_conv": "reid_srdl.models.resnet_cifar:resnet32_conv",
    "resnet110_conv": "reid_srdl.models.resnet_cifar:resnet110_conv",
    "resnet110_bottleneck": "reid_srdl.models.resnet_cifar:resnet110_bottleneck",
    "wrn_28_10": "reid_srdl.models.wrn:wrn_28_10",
    "densenet_bc_100_12": "reid_srdl.models.densenet_bc:densenet_bc_100_12",
    "densenet_bc_190_40": "reid_srdl.models.densenet_bc:densenet_bc_190_40",
}


def build(
    backbone: str,
    num_classes: int,
    *,
    weights: str = "none",
    neck: Neck = "none",
    last_stride: int = 2,
    pooling: Pooling = "avg",
    image_size: tuple[int, int] | None = None,
) -> IdentityClassifier:
    """An identity classifier, in training mode; its random weights are drawn from torch's global state.

    Args:
        backbone: a torchvision classification network (``resnet50``), ``torchreid:NAME``, ``fastreid:NAME``, ``timm:NAME``, or a name in
            ``BACKBONES``.
        num_classes: identities (or classes) to tell apart.
        weights: ``none``, ``imagenet`` (the library's own download), or the path of a file; see ``weights.read_state``.
            They fill the backbone; the classifier always starts at random.
        neck: ``none``, or ``bnneck`` for a BatchNorm between the pooled features and the embedding.
        last_stride: stride of a ResNet's last stage; with 1 it keeps the size of its input map.
        pooling: how the backbone's map becomes a vector: its average, its largest values (``max``), or their generalised mean (``gem``).
        image_size: (height, width) in pixels that images will have. Networks with a fixed input size are made for it, and a
            network that cannot take it raises an error here instead of in the first step.

    Raises:
        UserError: unknown name or option, a library that is not installed, weights that cannot be fetched or do not fit.
    """
    if neck not in ("none", "bnneck"):
        raise UserError(f"unknown neck {neck!r}", "Choose none or bnneck.")
    if num_classes < 1:
        raise UserError(f"a classifier of {num_classes} classes is none", "Give at least one training identity.")
    made = create(backbone, weights=weights, last_stride=last_stride, pooling=pooling, image_size=image_size, own=BACKBONES)
    network = IdentityClassifier(made.network, made.dimension, num_classes, neck)
    network.weights_report = made.report
    return network


def configured(model: ModelConfig, num_classes: int, size: tuple[int, int], *, weights: str | None = None) -> IdentityClassifier:
    """:func:`build` as a configuration says, for images of ``size`` (height, width); ``weights`` instead of the configuration's own."""
    return build(
        model.backbone, num_classes, weights=model.weights if weights is None else weights, neck=model.neck, last_stride=model.last_stride,
        pooling=model.pooling, image_size=size,
    )  # fmt: skip
