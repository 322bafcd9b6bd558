"""Backbones from timm (Wightman 2019)."""

from __future__ import annotations

import difflib
import math
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..config import MEAN, STD
from ..errors import UserError, first_line
from .making import (
    OTHER_SIZE,
    PATIENCE,
    Made,
    Size,
    no_download,
    no_such,
    no_weights,
    probe,
    short_patience,
)


def create(name: str, imagenet: bool, image_size: Size | None = None) -> Made:
    """timm's ``name``, pooled as its authors do; networks with a fixed input size are made for ``image_size``.

    Images come normalised by ImageNet's mean and standard deviation. Where the published weights were trained with others (0.5 and 0.5 in many),
    the network converts its input to these.

    Raises:
        UserError: timm is not installed; an unknown name or tag of weights; weights that cannot be fetched; a size that the network cannot be made for.
    """
    try:
        import timm
    except ImportError:
        raise UserError("timm is not installed", "Install it with: pip install timm") from None
    full = f"timm:{name}"
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise no_such(full, [f"timm:{other}" for other in near])
    try:
        published = timm.get_pretrained_cfg(name)
    except RuntimeError:  # the tag after the dot is unknown
        tagged = timm.list_pretrained(f"{name.partition('.')[0]}.*")
        raise no_such(full, [f"timm:{other}" for other in tagged[:3]]) from None
    options: dict[str, Any] = {"num_classes": 0}
    if image_size is not None and published is not None and published.fixed_input_size:
        options["img_size"] = image_size
    try:
        network = timm.create_model(name, **options)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        size = image_size or (224, 224)
        raise UserError(f"{full} cannot be made for images of {size[0]}x{size[1]} pixels ({first_line(error)})", OTHER_SIZE) from error
    if imagenet:
        # A second time, now with weights: so a size that it cannot be made for is not mistaken for a failed download.
        options |= _weights(full, published)
        try:
            with short_patience():
                network = timm.create_model(name, **options)
        except Exception as error:  # the Hub's client, timm and torch have exceptions of their own
            raise no_download(full, error) from error
    if published is not None and own_pixels(name):
        network.register_forward_pre_hook(_Renormalised(published.mean, published.std))
    size = image_size or (published.input_size[1:] if published is not None else (224, 224))
    return Made(network, probe(network, size, full).shape[1], None)


def own_pixels(name: str) -> bool:
    """Whether a network's published weights were trained on images normalised by another mean and deviation than ImageNet's."""
    import timm

    published = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    return published is not None and any(abs(one - other) > 1e-3 for one, other in zip((*published.mean, *published.std), (*MEAN, *STD), strict=True))


class _Renormalised:
    """A hook that takes images normalised by ImageNet's mean and deviation, and normalises them by others instead."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        theirs, ours = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (std, STD))
        self.scale = (ours / theirs).float()
        self.shift = ((torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1) - torch.tensor(mean, dtype=torch.float64).view(1, 3, 1, 1)) / theirs).float()

    def __call__(self, network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        images, *others = inputs
        return images * self.scale.to(images) + self.shift.to(images), *others


def resized_positions(network: nn.Module, state: Mapping[str, Tensor], made_for: Size | None = None) -> dict[str, Tensor]:
    """A file's weights, with position embeddings for another image size resampled to the network's own, as timm does with its downloads.

    Args:
        network: of timm.
        state: its weights as the file has them.
        made_for: the size of images that the file is for, where it says so; None: its patches are taken to lie in a square.

    Raises:
        UserError: the file does not say its size of images, and the number of patches makes no square.
    """
    ours, patches = getattr(network, "pos_embed", None), getattr(network, "patch_embed", None)
    grid, prefix = getattr(patches, "grid_size", None), getattr(network, "num_prefix_tokens", None)
    if not isinstance(ours, Tensor) or ours.ndim != 3 or grid is None or prefix is None:
        return dict(state)
    if getattr(network, "no_embed_class", False):  # positions are of patches alone
        prefix = 0
    fits = {key: tensor for key, tensor in state.items() if key.endswith("pos_embed") and tensor.ndim == 3 and tensor.shape[-1] == ours.shape[-1]}
    theirs = None if made_for is None else tuple(length // patch for length, patch in zip(made_for, patches.patch_size, strict=True))
    return {**state, **{key: _resampled(tensor, tuple(grid), theirs, prefix) for key, tensor in fits.items() if tensor.shape != ours.shape or theirs not in (None, tuple(grid))}}


def _resampled(positions: Tensor, grid: Size, theirs: Size | None, prefix: int) -> Tensor:
    from timm.layers import resample_abs_pos_embed

    count = positions.shape[1] - prefix
    if theirs is None:
        side = math.isqrt(max(0, count))
        theirs = side, side
    if theirs[0] * theirs[1] != count:
        raise UserError(
            f"the file's position embeddings are of {count:,} patches, which lie in no square, and it does not say for which size of images",
            "Take a file that was trained here, which says it, or one for square images.",
        )
    return resample_abs_pos_embed(positions, list(grid), list(theirs), num_prefix_tokens=prefix)


def _weights(full: str, published: Any) -> dict[str, Any]:
    """Options that make timm fill the network: from the Hub's cache where the weights are there, else from the Hub.

    Without a network connection, the Hub's client retries for most of a minute, so the connection is tried first.
    """
    if published is None or not (published.hf_hub_id or published.url or published.file):
        raise no_weights(full)
    options: dict[str, Any] = {"pretrained": True}
    if not published.hf_hub_id:
        return options
    import huggingface_hub

    for filename in (published.hf_hub_filename, "model.safetensors", "pytorch_model.bin"):
        cached = filename and huggingface_hub.try_to_load_from_cache(published.hf_hub_id, filename)
        if isinstance(cached, str):
            return options | {"pretrained_cfg_overlay": {"file": cached}}
    try:
        request = urllib.request.Request(huggingface_hub.constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(request, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        pass  # an error, but an answer: there is a connection
    except OSError as error:
        raise no_download(full, error) from error
    return options
