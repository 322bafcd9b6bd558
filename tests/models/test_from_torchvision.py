from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from reid_srdl.models import build
from reid_srdl.models.from_torchvision import AnySizeViT, resized_positions, without_head

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
    images = torch.randn(2, 3, 64, 32)
    backbone, dimension = without_head(network)
    assert dimension == 6
    torch.testing.assert_close(backbone(images), layers(images).mean((2, 3)))


def test_the_map_of_squeezenet_is_what_its_classifier_convolves(images: torch.Tensor) -> None:
    network, dimension = without_head(torchvision.models.squeezenet1_1().eval())
    assert dimension == 512
    with torch.no_grad():
        torch.testing.assert_close(network(images), network.features(images))


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
    images = torch.randn(2, 3, 64, 32)
    constant = backbone.encoder.pos_embedding.detach()[:, 1:2].clone()
    backbone.encoder.pos_embedding.data[:, 1:] = constant
    assert backbone(images).shape == (2, 8)
    # Between equal positions lies the same one.
    positions = backbone._positions((4, 2))
    torch.testing.assert_close(positions[:, 1:], constant.expand(1, 8, -1))
    with pytest.raises(ValueError, match="multiples of 16"):
        backbone(torch.randn(1, 3, 60, 32))


def test_positions_of_another_square_are_interpolated_at_loading(vit: torchvision.models.VisionTransformer) -> None:
    backbone, _ = without_head(vit)
    larger = {name: value.clone() for name, value in backbone.state_dict().items()}
    positions = torch.randn(1, 1 + 4 * 4, 8)
    larger["encoder.pos_embedding"] = positions
    found = resized_positions(backbone, larger)["encoder.pos_embedding"]
    wider = AnySizeViT.__new__(AnySizeViT)
    nn.Module.__init__(wider)
    wider.grid, wider.encoder = 4, nn.Module()
    wider.encoder.pos_embedding = nn.Parameter(positions)
    assert found.shape == backbone.encoder.pos_embedding.shape and torch.equal(found, wider._positions((2, 2)))
    assert resized_positions(backbone, backbone.state_dict()).keys() == larger.keys()


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_nothing_is_dropped_before_the_classifier(name: str) -> None:
    assert isinstance(build(name, 5).backbone.dropout, nn.Identity)


def test_mnasnet_loads_from_a_state_without_version_marks() -> None:
    network, other = build("mnasnet0_5", 5), build("mnasnet0_5", 5)
    other.load_state_dict(dict(network.state_dict()))
    assert torch.equal(network.backbone.layers[0].weight, other.backbone.layers[0].weight)


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
