from __future__ import annotations

import sys
import types

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from reid_srdl import runs
from reid_srdl.config import MEAN, STD, ModelConfig
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.models.from_timm import own_pixels, resized_positions


def test_timm_networks_have_the_dimension_of_what_comes_out(needs, images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:lcnet_050", 5)
    assert network.dimension == 1280 and network(images).embedding.shape == (2, 1280)  # its last map has 256


def test_timm_networks_of_one_size_are_made_for_ours(needs, images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:vit_tiny_patch16_224", 5, image_size=(64, 32))
    assert network(images).embedding.shape == (2, 192)


def test_timm_networks_see_the_pixels_that_their_weights_were_trained_on(needs, images: torch.Tensor) -> None:
    """Ours come normalised by ImageNet's mean and deviation; this one's weights want 0.5 and 0.5."""
    needs("timm")
    network = build("timm:vit_tiny_patch16_224", 5, image_size=(64, 32)).eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    shares = images * std + mean
    ours = network.embed(images).detach()
    network.backbone._forward_pre_hooks.clear()
    torch.testing.assert_close(ours, network.embed((shares - 0.5) / 0.5).detach(), atol=1e-5, rtol=1e-4)
    assert (ours - network.embed(images).detach()).abs().max() > 1e-3
    assert own_pixels("vit_tiny_patch16_224") and not own_pixels("resnet18") and not own_pixels("nothing")
    assert not build("timm:resnet18", 5).backbone._forward_pre_hooks


def test_positions_of_a_file_are_resampled_as_timm_does_with_its_own(needs, tmp_path) -> None:
    needs("timm")
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    state = timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict()
    torch.save(state, tmp_path / "vit.pth")
    ours = build("timm:vit_tiny_patch16_224", 5, weights=str(tmp_path / "vit.pth"), image_size=(64, 32))
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=(64, 32))
    theirs.load_state_dict(checkpoint_filter_fn(state, theirs))
    assert ours.weights_report.complete and torch.equal(ours.backbone.pos_embed, theirs.pos_embed)


def test_positions_of_a_network_trained_here_know_their_grid(needs, tmp_path) -> None:
    """4 x 1 patches look like a square of 2 x 2, and 4 x 2 like none."""
    needs("timm")
    from timm.layers import resample_abs_pos_embed

    for size, name in (((64, 16), "one"), ((64, 32), "two")):
        made = build("timm:vit_tiny_patch16_224", 3, image_size=size)
        runs.save_model(tmp_path / f"{name}.safetensors", made, ModelConfig("timm:vit_tiny_patch16_224", "none"), size, np.arange(3))
        ours = build("timm:vit_tiny_patch16_224", 3, weights=str(tmp_path / f"{name}.safetensors"), image_size=(96, 32))
        expected = resample_abs_pos_embed(made.backbone.pos_embed, [6, 2], [size[0] // 16, size[1] // 16], num_prefix_tokens=1)
        assert ours.weights_report.complete and torch.equal(ours.backbone.pos_embed, expected)
    torch.save(made.backbone.state_dict(), tmp_path / "unsaid.pth")
    with pytest.raises(UserError, match="position embeddings are of 8 patches, which lie in no square"):
        build("timm:vit_tiny_patch16_224", 3, weights=str(tmp_path / "unsaid.pth"), image_size=(96, 32))


def test_positions_without_those_of_the_class_are_all_of_patches() -> None:
    pytest.importorskip("timm")
    network = nn.Module()
    network.patch_embed = types.SimpleNamespace(grid_size=(4, 2), patch_size=(16, 16))
    network.pos_embed, network.num_prefix_tokens, network.no_embed_class = nn.Parameter(torch.zeros(1, 8, 6)), 1, True
    assert resized_positions(network, {"pos_embed": torch.ones(1, 9, 6)})["pos_embed"].shape == (1, 8, 6)


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_a_size_that_timm_cannot_make_is_said(needs, weights: str, offline: None) -> None:
    needs("timm")
    with pytest.raises(UserError, match="timm:nest_tiny cannot be made for images of 256x128 pixels"):
        build("timm:nest_tiny", 5, weights=weights, image_size=(256, 128))


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
