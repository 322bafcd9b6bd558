from __future__ import annotations

import sys
import time
import types

import pytest
import torch
from torch import nn

import reid_srdl.models
from reid_srdl import seeds
from reid_srdl.errors import UserError
from reid_srdl.models import build


def test_the_four_networks_of_the_project_build(images: torch.Tensor) -> None:
    dimensions = {"mobilenet_v2": 1280, "resnet50": 2048, "densenet121": 1024}
    for name, dimension in dimensions.items():
        with torch.no_grad():
            output = build(name, 7).eval()(images)
        assert output.embedding.shape == (2, dimension) and output.logits.shape == (2, 7), name


def test_a_last_stride_of_1_doubles_the_map_and_keeps_the_weights(images: torch.Tensor) -> None:
    shapes = {}
    for stride in (1, 2):
        with seeds.forked(1):
            network = build("resnet18", 5, last_stride=stride)
        maps = []
        network.backbone.layer4.register_forward_hook(lambda *hooked, maps=maps: maps.append(hooked[2]))
        network(images)
        shapes[stride] = maps[0].shape[2:]
        shapes[stride, "names"] = [(name, tensor.shape) for name, tensor in network.state_dict().items()]
    assert shapes[2] == (2, 1) and shapes[1] == (4, 2)
    assert shapes[1, "names"] == shapes[2, "names"]


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "timm:resnet18d"])
def test_a_last_stride_of_1_is_refused_where_there_is_none(needs, name: str) -> None:
    if name.startswith("timm:"):
        needs("timm")
    with torch.device("meta" if ":" not in name else "cpu"), pytest.raises(UserError, match=f"last stride of {name}"):
        build(name, 5, last_stride=1)


def test_a_size_that_a_network_cannot_take_is_told_at_building() -> None:
    with pytest.raises(UserError, match="alexnet cannot take images of 16x8 pixels"):
        build("alexnet", 5, image_size=(16, 8))
    assert build("shufflenet_v2_x0_5", 5, image_size=(64, 32)).backbone.training


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet5O", "resnet50"), ("mobilenetv2", "mobilenet_v2"), ("densenet-121", "densenet121"), ("", "torchvision")],
)
def test_an_unknown_name_brings_near_ones(name: str, near: str) -> None:
    with pytest.raises(UserError, match=near) as caught:
        build(name, 5)
    assert repr(name) in str(caught.value)


def test_networks_of_our_own_come_from_the_registry(monkeypatch: pytest.MonkeyPatch, images: torch.Tensor) -> None:
    def tiny() -> nn.Module:
        network = nn.Conv2d(3, 6, 3)
        network.dimension = 6
        return network

    monkeypatch.setitem(sys.modules, "fabricated_network", types.SimpleNamespace(tiny=tiny))
    monkeypatch.setitem(reid_srdl.models.BACKBONES, "tiny", "fabricated_network:tiny")
    assert build("tiny", 5)(images).embedding.shape == (2, 6)
    monkeypatch.setitem(reid_srdl.models.BACKBONES, "small", tiny)
    assert build("small", 5, image_size=(16, 8))(images).embedding.shape == (2, 6)
    with pytest.raises(UserError, match="no ImageNet weights of tiny"):
        build("tiny", 5, weights="imagenet")
    with pytest.raises(UserError, match="tiny"):
        build("tinyy", 5)


def test_a_network_of_our_own_that_does_not_say_its_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reid_srdl.models.BACKBONES, "tiny", lambda: nn.Conv2d(3, 6, 3))
    with pytest.raises(UserError, match="the network tiny has no dimension"):
        build("tiny", 5)

    def wrong() -> nn.Module:
        network = nn.Conv2d(3, 6, 3)
        network.dimension = 7
        return network

    monkeypatch.setitem(reid_srdl.models.BACKBONES, "tiny", wrong)
    with pytest.raises(UserError, match=r"answers with shape \(1, 6, 14, 6\), and its dimension is 7"):
        build("tiny", 5, image_size=(16, 8))


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "torchreid:osnet_x0_25", "timm:lcnet_050"])
def test_offline_is_told_at_once_with_both_ways_out(
    needs, name: str, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = name.partition(":")[0]
    if library != name:
        needs(library)
    if library == "timm":
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        build(name, 5, weights="imagenet")
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert name in message and "\n" not in message
    assert "network connection" in message and "--model.weights FILE" in message
