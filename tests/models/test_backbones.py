from __future__ import annotations

import importlib.util
import socket
import sys
import time
import types

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

import reid_srdl.models
from reid_srdl import seeds
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.models.backbones import AnySizeViT, Layers, without_head

SIZE = (64, 32)


def needs(library: str) -> None:
    # pytest.importorskip would import all of it, which is what torchreid is spared.
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_the_four_networks_of_the_project_build(images: torch.Tensor) -> None:
    dimensions = {"mobilenet_v2": 1280, "resnet50": 2048, "densenet121": 1024}
    for name, dimension in dimensions.items():
        with torch.no_grad():
            output = build(name, 7).eval()(images)
        assert output.embedding.shape == (2, dimension) and output.logits.shape == (2, 7), name


# --- torchvision -----------------------------------------------------------------------------------------------------

HEADS = {
    "convnext_tiny": lambda network: network.classifier[2],
    "densenet121": lambda network: network.classifier,
    "efficientnet_b0": lambda network: network.classifier,
    "googlenet": lambda network: network.fc,
    "mnasnet0_5": lambda network: network.classifier,
    "mobilenet_v2": lambda network: network.classifier,
    "mobilenet_v3_small": lambda network: network.classifier,
    "regnet_x_400mf": lambda network: network.fc,
    "resnet18": lambda network: network.fc,
    "shufflenet_v2_x0_5": lambda network: network.fc,
    "swin_t": lambda network: network.head,
}


@pytest.mark.parametrize("name", HEADS)
def test_what_is_cut_off_and_what_remains_are_the_librarys_network(name: str, images: torch.Tensor) -> None:
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    network = torchvision.models.get_model(name, **options).eval()
    head, names = HEADS[name](network), set(network.state_dict())
    with torch.no_grad():
        expected = network(images)
        backbone, dimension = without_head(network)
        features = backbone.eval()(images)
        features = features.mean((2, 3)) if features.ndim == 4 else features
        assert features.shape == (2, dimension)
        torch.testing.assert_close(head(features), expected, rtol=1e-4, atol=1e-5)
        last = backbone.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
        last = last.mean((2, 3)) if last.ndim == 4 else last
        torch.testing.assert_close(last, features, rtol=1e-3, atol=1e-5)
    # Its own names, so that its published weights fit.
    assert set(backbone.state_dict()) < names


def test_networks_that_flatten_their_map_are_averaged_instead() -> None:
    # The real ones hold over a hundred million values in the layers that are cut off.
    layers = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU())
    with torch.device("meta"):
        network = torchvision.models.VGG(layers, num_classes=4)
    network.classifier = nn.Sequential(nn.Linear(6 * 7 * 7, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 4))
    images = torch.randn(2, 3, *SIZE)
    backbone, dimension = without_head(network)
    assert dimension == 6
    torch.testing.assert_close(backbone(images), layers(images).mean((2, 3)))


def test_the_pooling_of_squeezenet_is_kept_though_it_stands_after_the_classifier(images: torch.Tensor) -> None:
    network, dimension = without_head(torchvision.models.squeezenet1_1().eval())
    assert dimension == 512
    with torch.no_grad():
        expected = network.features(images).mean((2, 3))
        torch.testing.assert_close(network(images), expected)
        torch.testing.assert_close(network(images.to(memory_format=torch.channels_last)), expected)


@pytest.fixture
def vit() -> torchvision.models.VisionTransformer:
    network = torchvision.models.VisionTransformer(
        32, 16, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=4
    )
    nn.init.normal_(network.heads.head.weight)
    return network.eval()


def test_a_vision_transformer_is_torchvisions_at_its_own_size(vit: torchvision.models.VisionTransformer) -> None:
    images = torch.randn(2, 3, 32, 32)
    expected, heads = vit(images), vit.heads
    backbone, dimension = without_head(vit)
    assert isinstance(backbone, AnySizeViT) and dimension == 8
    torch.testing.assert_close(heads(backbone(images)), expected)
    assert set(backbone.state_dict()) == {name for name in vit.state_dict() if not name.startswith("heads")}


def test_a_vision_transformer_interpolates_positions_for_other_sizes(
    vit: torchvision.models.VisionTransformer,
) -> None:
    backbone, _ = without_head(vit)
    images = torch.randn(2, 3, *SIZE)
    constant = backbone.encoder.pos_embedding.detach()[:, 1:2].clone()
    backbone.encoder.pos_embedding.data[:, 1:] = constant
    assert backbone(images).shape == (2, 8)
    # Between equal positions lies the same one.
    positions = backbone._positions((4, 2))
    torch.testing.assert_close(positions[:, 1:], constant.expand(1, 8, -1))
    with pytest.raises(ValueError, match="multiples of 16"):
        backbone(torch.randn(1, 3, 60, 32))


def test_mnasnet_loads_from_a_state_without_version_marks() -> None:
    network, other = build("mnasnet0_5", 5), build("mnasnet0_5", 5)
    assert isinstance(network.backbone, Layers)
    other.load_state_dict(dict(network.state_dict()))
    assert torch.equal(network.backbone.layers[0].weight, other.backbone.layers[0].weight)


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
def test_a_last_stride_of_1_is_refused_where_there_is_none(name: str) -> None:
    if name.startswith("timm:"):
        needs("timm")
    with torch.device("meta" if ":" not in name else "cpu"), pytest.raises(UserError, match=f"last stride of {name}"):
        build(name, 5, last_stride=1)


def test_a_size_that_a_network_cannot_take_is_told_at_building() -> None:
    with pytest.raises(UserError, match="alexnet cannot take images of 16x8 pixels"):
        build("alexnet", 5, image_size=(16, 8))
    assert build("shufflenet_v2_x0_5", 5, image_size=SIZE).backbone.training


# --- names -----------------------------------------------------------------------------------------------------------


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
    with pytest.raises(UserError, match="no ImageNet weights of tiny"):
        build("tiny", 5, weights="imagenet")
    with pytest.raises(UserError, match="tiny"):
        build("tinyy", 5)


# --- downloads -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "torchreid:osnet_x0_25", "timm:lcnet_050"])
def test_offline_is_told_at_once_with_both_ways_out(name: str, offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_download_fills_the_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    published = torchvision.models.mobilenet_v3_small().state_dict()
    asked = []

    def download(url: str, **options: object) -> dict[str, torch.Tensor]:
        asked.append((url, options["weights_only"]))
        return published

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    network = build("mobilenet_v3_small", 5, weights="imagenet")
    assert network.weights_report.complete and "IMAGENET1K_V1" in network.weights_report.source
    assert torch.equal(network.backbone.features[0][0].weight, published["features.0.0.weight"])
    assert asked == [(torchvision.models.MobileNet_V3_Small_Weights.IMAGENET1K_V1.url, True)]


# --- torchreid -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["osnet_x0_25", "squeezenet1_0_fc512", "shufflenet_v2_x0_5"])
def test_torchreid_gives_features_in_both_modes(name: str, images: torch.Tensor) -> None:
    needs("torchreid")
    network = build(f"torchreid:{name}", 5)
    dimension = {"osnet_x0_25": 512, "squeezenet1_0_fc512": 512, "shufflenet_v2_x0_5": 1024}[name]
    assert network.train()(images).embedding.shape == (2, dimension)
    assert network.eval()(images).embedding.shape == (2, dimension)
    # The mode of the whole network chose between vector and logits: with its layers in evaluation both are the vector.
    with torch.no_grad():
        expected = network.eval().embed(images)
        network.backbone.training = True
        assert torch.equal(network.embed(images), expected)


def test_torchreids_networks_of_parts_are_refused() -> None:
    needs("torchreid")
    with pytest.raises(UserError, match="several parts"):
        build("torchreid:hacnn", 5)


def test_a_name_of_torchreid_is_found_without_its_prefix() -> None:
    needs("torchreid")
    for wrong in ("osnet_x0_25", "torchreid:osnet_x025"):
        with pytest.raises(UserError, match="torchreid:osnet_x0_25"):
            build(wrong, 5)


def test_torchreids_download_fills_what_it_has_and_the_rest_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torchreid")
    build("torchreid:osnet_x0_25", 5)

    def fill(network: nn.Module, key: str) -> None:
        for name, tensor in network.state_dict().items():
            if not name.startswith(("fc", "classifier")):
                tensor.fill_(0.5)

    monkeypatch.setattr(sys.modules["torchreid.reid.models.osnet"], "init_pretrained_weights", fill)
    built = []
    for seed in (1, 2):
        with seeds.forked(seed):
            built.append(build("torchreid:osnet_x0_25", 5, weights="imagenet"))
    assert {name.split(".")[0] for name in built[0].weights_report.missing} == {"fc"}
    assert all((network.backbone.conv5.conv.weight == 0.5).all() for network in built)
    assert not torch.equal(built[0].backbone.fc[0].weight, built[1].backbone.fc[0].weight)


@pytest.mark.filterwarnings("ignore")
def test_where_torchreid_has_no_weights_that_is_an_error() -> None:
    needs("torchreid")
    with pytest.raises(UserError, match="no ImageNet weights of torchreid:mobilenetv2_x1_0"):
        build("torchreid:mobilenetv2_x1_0", 5, weights="imagenet")


def test_torchreid_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchreid"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install torchreid"):
        build("torchreid:osnet_x0_25", 5)
    with pytest.raises(UserError, match="resnet50"):
        build("resnet5O", 5)


def test_only_the_models_of_torchreid_are_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torchreid")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchreid"]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    assert build("torchreid:osnet_x0_25", 5).dimension == 512
    brought = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
    assert brought and all(name.startswith("torchreid.reid.models") for name in brought)


# --- timm ------------------------------------------------------------------------------------------------------------


def test_timm_networks_have_the_dimension_of_what_comes_out(images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:lcnet_050", 5)
    assert network.dimension == 1280 and network(images).embedding.shape == (2, 1280)  # its last map has 256


def test_timm_networks_of_one_size_are_made_for_ours(images: torch.Tensor) -> None:
    needs("timm")
    network = build("timm:vit_tiny_patch16_224", 5, image_size=SIZE)
    assert network(images).embedding.shape == (2, 192)


def test_timm_takes_the_hubs_cached_file(tmp_path, monkeypatch: pytest.MonkeyPatch, offline: None) -> None:
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
def test_unknown_names_of_timm_bring_near_ones(name: str, named: str) -> None:
    needs("timm")
    with pytest.raises(UserError, match=f"unknown network '{name}'.*{named}"):
        build(name, 5)


def test_timm_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="pip install timm"):
        build("timm:resnet18", 5)
