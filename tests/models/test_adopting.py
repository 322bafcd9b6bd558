"""Checkpoints made of the libraries' own networks, or as fast-reid lays its own out, against what these answer."""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from reid_srdl.errors import UserError
from reid_srdl.models import adopting, from_torchreid

SIZE = (64, 32)


def shaken(network: nn.Module) -> nn.Module:
    """With running statistics and affine weights of their own, so that none is forgotten unnoticed."""
    drawn = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=drawn) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=drawn) + 0.5)
            module.weight.data.copy_(torch.rand(module.weight.shape, generator=drawn) + 0.5)
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=drawn) * 0.1)
    return network


def adopted(file: Path, backbone: str, size: tuple[int, int] = SIZE, **options):
    foreign = adopting.read(file)
    return adopting.adopt(foreign, adopting.model_of(foreign, backbone, **options), size)


# --- torchreid ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "backbone"),
    [("osnet_x0_25", "torchreid:osnet_x0_25"), ("resnet50", "torchreid:resnet50"), ("resnet50", "resnet50"), ("mobilenetv2_x1_0", "torchreid:mobilenetv2_x1_0")],
)
def test_torchreid_s_checkpoints_embed_as_torchreid_does(needs, name, backbone, images, tmp_path):
    needs("torchreid")
    network = shaken(from_torchreid._models().build_model(name, num_classes=751, pretrained=False, use_gpu=False)).eval()
    # As its engines save: wrapped for several GPUs, beside optimiser, schedule and scores.
    state = OrderedDict((f"module.{key}", value) for key, value in network.state_dict().items())
    file = tmp_path / "model.pth.tar-60"
    torch.save({"state_dict": state, "epoch": 60, "rank1": np.float64(0.9), "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "scheduler": {"milestones": Counter([20])}}, file)
    ours = adopted(file, backbone)
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(ours.embed(images), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours(images).logits, network.classifier(expected), rtol=1e-5, atol=1e-5)
    assert ours.num_classes == 751 and ours.weights_report.complete and "all" in str(ours.weights_report)


# --- fast-reid ---------------------------------------------------------------------------------------------------------


def resnet() -> nn.Module:
    torch.manual_seed(2)
    return shaken(torchvision.models.resnet18()).eval()


def fastreid_state(network: nn.Module, *, power: float | None, classes: int = 11) -> dict[str, Tensor]:
    neck = shaken(nn.BatchNorm1d(512))
    state = {f"backbone.{key}": value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    state |= {f"heads.bottleneck.0.{key}": value for key, value in neck.state_dict().items()}
    state["heads.weight"] = torch.randn(classes, 512)
    if power is not None:
        state["heads.pool_layer.p"] = torch.tensor([power])
    state["pixel_mean"] = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
    state["pixel_std"] = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    return state


def fastreid_embedding(network: nn.Module, state: dict[str, Tensor], images: Tensor, power: float | None) -> Tensor:
    """Its forward pass in evaluation: max-pooling that rounds up without a margin, last stride 1, pooling, BNNeck."""
    maps = functional.max_pool2d(network.relu(network.bn1(network.conv1(images))), 3, 2, ceil_mode=True)
    network.layer4[0].conv1.stride = network.layer4[0].downsample[0].stride = (1, 1)
    maps = network.layer4(network.layer3(network.layer2(network.layer1(maps))))
    pooled = maps.mean((2, 3)) if power is None else maps.clamp(min=1e-6).pow(power).mean((2, 3)).pow(1 / power)
    mean, var, weight, bias = (state[f"heads.bottleneck.0.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return (pooled - mean) / (var + 1e-5).sqrt() * weight + bias


@pytest.mark.parametrize("power", [None, 3.0, 1.7])
def test_fastreid_s_checkpoints_embed_as_its_network_does(power, images, tmp_path):
    network = resnet()
    state = fastreid_state(network, power=power)
    torch.save({"model": state, "optimizer": {"state": {}}, "scheduler": {"last_epoch": 60}, "iteration": 100}, tmp_path / "model_final.pth")
    ours = adopted(tmp_path / "model_final.pth", "fastreid:resnet18")
    with torch.no_grad():
        expected = fastreid_embedding(network, state, images, power)
        torch.testing.assert_close(ours.embed(images), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ours(images).logits, expected @ state["heads.weight"].T, rtol=1e-4, atol=1e-4)
        # The plain network takes the same weights and is another function, so this is no idle care.
        foreign = adopting.read(tmp_path / "model_final.pth")
        plain = dataclasses.replace(adopting.model_of(foreign, "fastreid:resnet18"), backbone="resnet18")
        assert (adopting.adopt(foreign, plain, SIZE).embed(images) - expected).abs().max() > 1e-2
    assert ours.weights_report.unexpected == ("pixel_mean", "pixel_std")


def test_older_names_of_the_head_are_known(images, tmp_path):
    state = fastreid_state(resnet(), power=None)
    state["heads.classifier.weight"] = state.pop("heads.weight")
    state["heads.bnneck.num_batches_tracked"] = state.pop("heads.bottleneck.0.num_batches_tracked")
    torch.save({"model": state}, tmp_path / "old.pth")
    assert adopted(tmp_path / "old.pth", "fastreid:resnet18").num_classes == 11


def test_fastreid_s_early_checkpoints_pad_as_it_did(images, tmp_path):
    """Code that calls the neck ``heads.bnneck`` pools with a margin, as torchvision does; the weights are the same."""
    state = fastreid_state(resnet(), power=None)
    renamed = {key.replace("heads.bottleneck.0.", "heads.bnneck.").replace("heads.weight", "heads.classifier.weight"): value for key, value in state.items()}
    torch.save({"model": renamed}, tmp_path / "old.pth")
    torch.save({"model": state}, tmp_path / "new.pth")
    model = adopting.model_of(adopting.read(tmp_path / "old.pth"), "fastreid:resnet18")
    assert model.backbone == "fastreid:resnet18_padded" and adopting.model_of(adopting.read(tmp_path / "new.pth"), "fastreid:resnet18").backbone == "fastreid:resnet18"
    plain = dataclasses.replace(model, backbone="resnet18")
    with torch.no_grad():
        old = adopted(tmp_path / "old.pth", "fastreid:resnet18").embed(images)
        torch.testing.assert_close(old, adopting.adopt(adopting.read(tmp_path / "old.pth"), plain, SIZE).embed(images))
        assert (old - adopted(tmp_path / "new.pth", "fastreid:resnet18").embed(images)).abs().max() > 1e-2


def test_numbers_that_are_none_are_named(tmp_path):
    state = fastreid_state(resnet(), power=None)
    state["backbone.conv1.weight"][0, 0, 0, 0] = float("nan")
    torch.save({"model": state}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="NaN or infinite.* in backbone.conv1.weight"):
        adopting.read(tmp_path / "bad.pth")


def test_a_power_that_is_not_learnt_is_asked_for(images, tmp_path):
    network = resnet()
    state = fastreid_state(network, power=None)
    torch.save({"model": state}, tmp_path / "gem.pth")
    ours = adopted(tmp_path / "gem.pth", "fastreid:resnet18", pooling="gem")
    with torch.no_grad():
        torch.testing.assert_close(ours.embed(images), fastreid_embedding(network, state, images, 3.0), rtol=1e-5, atol=1e-5)


def test_ibn_networks_are_known_of_one_size(needs, images):
    needs("torchreid")
    from reid_srdl.models import build

    network = build("fastreid:resnet50_ibn_a", 5, last_stride=1)
    assert network.backbone.maxpool.ceil_mode and "layer1.0.bn1.IN.weight" in network.backbone.state_dict()
    with pytest.raises(UserError, match="no ImageNet weights"):
        build("fastreid:resnet50_ibn_a", 5, weights="imagenet")
    with pytest.raises(UserError, match="fastreid:resnet50"):
        build("fastreid:resnet5O", 5)


@pytest.mark.parametrize(
    ("changed", "backbone", "words"),
    [
        ({"backbone.NL_2.0.g.weight": torch.ones(1, 512, 1, 1)}, "fastreid:resnet18", "no non-local blocks"),
        ({"backbone.layer1.0.bn1.IN.weight": torch.ones(32)}, "fastreid:resnet18", r"no instance normalisation \(IBN\)"),
        ({"heads.bottleneck.1.weight": torch.ones(512)}, "fastreid:resnet18", "makes its embedding shorter"),
        ({}, "fastreid:resnet34", "it lacks backbone.layer1.2"),
        ({}, "fastreid:resnet50", "does not fit fastreid:resnet50"),
        ({"heads.weight": torch.ones(11, 100)}, "fastreid:resnet18", r"of other shape are classifier.weight \(11x100 for 11x512\)"),
        ({}, "resnet18", "differ from resnet18 in layers without weights.*--backbone fastreid:resnet18"),
        ({"heads.weight": torch.ones(5)}, "fastreid:resnet18", "no classifier of identities"),
    ],
)
def test_nothing_is_loaded_by_half(changed, backbone, words, tmp_path):
    state = fastreid_state(resnet(), power=None) | changed
    torch.save({"model": state}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=words) as error:
        adopted(tmp_path / "other.pth", backbone)
    assert "\n" not in str(error.value)


def test_a_backbone_alone_is_no_checkpoint(tmp_path):
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "imagenet.pth")
    with pytest.raises(UserError, match="no classifier of identities.*--model.weights"):
        adopting.read(tmp_path / "imagenet.pth")


def test_other_objects_than_weights_are_never_made(tmp_path):
    torch.save({"model": fastreid_state(resnet(), power=None), "args": argparse.Namespace(batch=64)}, tmp_path / "args.pth")
    with pytest.raises(UserError, match=r"holds more than weights \(argparse.Namespace\)"):
        adopting.read(tmp_path / "args.pth")


def test_what_images_are_normalised_by_is_read(tmp_path):
    torch.save({"model": fastreid_state(resnet(), power=None)}, tmp_path / "said.pth")
    foreign = adopting.read(tmp_path / "said.pth")
    assert foreign.mean == pytest.approx((0.485, 0.456, 0.406)) and foreign.std == pytest.approx((0.229, 0.224, 0.225))
