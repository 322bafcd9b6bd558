"""Backbones from timm (Wightman 2019)."""

from __future__ import annotations

import difflib
import urllib.error
import urllib.request
from typing import Any

from ..errors import UserError
from .making import PATIENCE, Made, Size, no_download, no_such, no_weights, probe, short_patience


def create(name: str, imagenet: bool, image_size: Size | None = None) -> Made:
    """timm's ``name``, pooled as its authors do; networks made for one size of images are made for ``image_size``.

    Raises:
        UserError: not installed, unknown, an unknown tag of weights, weights that cannot be had.
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
    if imagenet:
        options |= _weights(full, published)
    try:
        with short_patience():
            network = timm.create_model(name, **options)
    except Exception as error:  # the Hub's client, timm and torch have exceptions of their own
        if imagenet:
            raise no_download(full, error) from error
        raise
    size = image_size or (published.input_size[1:] if published is not None else (224, 224))
    return Made(network, probe(network, size, full).shape[1], None)


def _weights(full: str, published: Any) -> dict[str, Any]:
    """How timm is told to fill the network: from the Hub's cache where it is there, else from the Hub.

    Asked for weights without a network, the Hub's client tries again for most of a minute; so that is found out first.
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
        pass  # an answer, if not the friendliest
    except OSError as error:
        raise no_download(full, error) from error
    return options
