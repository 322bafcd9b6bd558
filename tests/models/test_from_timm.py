from __future__ import annotations

import sys

import pytest
import safetensors.torch
import torch

from reid_srdl.errors import UserError
from reid_srdl.models import build


def test_timm_networks_have_the_dimension_of_what_comes_out(needs, images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:lcnet_050", 5)
    assert network.dimension == 1280 and network(images).embedding.shape == (2, 1280)  # its last map has 256


def test_timm_networks_of_one_size_are_made_for_ours(needs, images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:vit_tiny_patch16_224", 5, image_size=(64, 32))
    assert network(images).embedding.shape == (2, 192)


def test_timm_takes_the_hubs_cached_file(needs, tmp_path, monkeypatch: pytest.MonkeyPatch, offline: None) -> None:
    needs("timm")
    import timm

    published = timm.create_model("lcnet_050")
    file = tmp_path / "model.safetensors"
    safetensors.torch.save_file(published.state_dict(), file)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(file))
    network = build("timm:lcnet_050", 5, weights="imagenet")
    assert torch.equal(network.backbone.conv_head.weight, published.conv_head.weight)


@pytest.mark.parametrize(
    ("name", "named"), [("timm:resnet5", "timm:resnet50"), ("timm:resnet50.nothing", "timm:resnet50.")]
)
def test_unknown_names_of_timm_bring_near_ones(needs, name: str, named: str) -> None:
    needs("timm")
    with pytest.raises(UserError, match=f"unknown network '{name}'.*{named}"):
        build(name, 5)


def test_timm_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="pip install timm"):
        build("timm:resnet18", 5)
