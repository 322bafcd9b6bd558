"""Backbones from torchvision's classification networks: their heads are cut off, their names stay."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .making import Made, Size, no_download, short_patience, without_dropout
from .weights import load_backbone

_MAPS = {
    "DenseNet": ("features",),
    "MNASNet": ("layers",),
    "MobileNetV2": ("features",),
    "ShuffleNetV2": ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"),
    "SqueezeNet": ("features",),
}
"""Layers up to the last map, for networks whose class does not end in a pooling layer."""


def _library() -> Any:
    """``torchvision.models``, imported late: the import brings torch's compiler and takes longer than most commands that need none of its networks."""
    import torchvision

    return torchvision.models


def names() -> list[str]:
    return _library().list_models(module=_library())


def create(name: str, imagenet: bool) -> Made:
    """torchvision's ``name``, which is one of :func:`names`.

    Raises:
        UserError: weights that cannot be fetched.
    """
    network, dimension = without_head(_network(name))
    if not imagenet:
        return Made(network, dimension, None)
    offered = _library().get_model_weights(name)
    # Where there are several, those of the first recipe: they are of the paper's time, and the field's numbers rest on them. Else those trained at the network's own size.
    chosen = next((getattr(offered, kind) for kind in ("IMAGENET1K_V1", "IMAGENET1K_SWAG_LINEAR_V1") if hasattr(offered, kind)), offered.DEFAULT)
    try:
        with short_patience():
            state = chosen.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise no_download(name, error) from error
    return Made(network, dimension, load_backbone(network, resized_positions(network, state), f"torchvision's {chosen}", name))


def _network(name: str) -> nn.Module:
    if name in ("googlenet", "inception_v3"):
        # Auxiliary classifiers would make the output a tuple in training. The input transform undoes ImageNet's
        # normalisation in favour of the one that the published weights were trained with.
        return _library().get_model(name, aux_logits=False, init_weights=True, transform_input=True)
    return _library().get_model(name)


def resized_positions(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's weights; a Vision Transformer's position embeddings for square images of another size are resampled to the network's own."""
    if not isinstance(network, AnySizeViT):
        return dict(state)
    ours = network.encoder.pos_embedding
    resampled = {}
    for key, positions in state.items():
        side = math.isqrt(max(0, positions.shape[1] - 1)) if positions.ndim == 3 else 0
        if key.endswith("encoder.pos_embedding") and positions.shape != ours.shape and positions.shape[-1] == ours.shape[-1] and side * side == positions.shape[1] - 1:
            resampled[key] = _interpolated(positions, (side, side), (network.grid, network.grid))
    return {**state, **resampled}


def _interpolated(positions: Tensor, grid: Size, wanted: Size) -> Tensor:
    of_class, of_patches = positions[:, :1], positions[:, 1:]
    of_patches = of_patches.transpose(1, 2).unflatten(2, grid)
    of_patches = functional.interpolate(of_patches, size=wanted, mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([of_class, of_patches.flatten(2).transpose(1, 2)], dim=1)


def without_head(network: nn.Module) -> tuple[nn.Module, int]:
    """Cuts a torchvision network's head off before its first layer with weights; what remains keeps its names.

    Returns:
        The network, whose output is the pooled vector (B, D), and D.
    """
    models = _library()
    attribute = next(name for name in ("fc", "classifier", "head", "heads") if hasattr(network, name))
    head = getattr(network, attribute)
    layers = [head] if isinstance(head, nn.Linear) else list(head)
    cut = next(index for index, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.Conv2d))
    dimension = layers[cut].in_channels if isinstance(layers[cut], nn.Conv2d) else layers[cut].in_features
    if isinstance(network, models.VisionTransformer):
        return AnySizeViT(network), dimension
    if type(network).__name__ in _MAPS:
        return _up_to_map(network), dimension
    if isinstance(network, models.VGG | models.AlexNet):
        # They flatten a 7x7 (6x6) map into their classifier; the embedding is its average.
        height, width = network.avgpool.output_size
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        dimension //= height * width
    kept: list[nn.Module] = [nn.Identity() if isinstance(layer, nn.Dropout) else layer for layer in layers[:cut]]
    setattr(network, attribute, nn.Sequential(*kept))
    without_dropout(network)
    return network, dimension


def _up_to_map(network: nn.Module) -> nn.Sequential:
    """The network's layers up to its last map (B, D, h, w), under the names that they have in the network.

    It is for networks that pool by a function, so that pooling and precision could not be changed; that pool at the end of the head that is cut
    off (SqueezeNet); or that refuse a state without a version mark, which safetensors do not keep (MNASNet).
    """
    layers = OrderedDict((name, getattr(network, name)) for name in _MAPS[type(network).__name__])
    if isinstance(network, _library().DenseNet):
        layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


class AnySizeViT(nn.Module):
    """torchvision's Vision Transformer for images whose height and width are multiples of its patch size; the output is the class token.

    Position embeddings are for the size that the network was made for (a square grid); for another grid they are
    interpolated bicubically, as usual (Dosovitskiy et al. 2021, section 3.2).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.patch_size: int = network.patch_size
        self.grid: int = network.image_size // network.patch_size
        self.conv_proj = network.conv_proj
        self.class_token = network.class_token
        self.encoder = network.encoder

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D)."""
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(f"height and width must be multiples of {self.patch_size}")
        tokens = self.conv_proj(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1).to(tokens.dtype), tokens], dim=1)
        tokens = tokens + self._positions((height // self.patch_size, width // self.patch_size))
        return self.encoder.ln(self.encoder.layers(self.encoder.dropout(tokens)))[:, 0]

    def _positions(self, grid: Size) -> Tensor:
        positions = self.encoder.pos_embedding
        if grid == (self.grid, self.grid):
            return positions
        return _interpolated(positions, (self.grid, self.grid), grid)
