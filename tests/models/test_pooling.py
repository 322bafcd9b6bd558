"""Other pooling than the average, in networks that pool by a layer of their own and in networks of maps."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from reid_srdl.config import ModelConfig
from reid_srdl.errors import UserError
from reid_srdl.models import build, configured
from reid_srdl.models.pooling import Average, GeM


def test_the_generalised_mean_is_the_formula_and_lies_between_average_and_maximum():
    maps = torch.rand(2, 5, 4, 3)
    by_hand = torch.tensor([[(sum(value**3 for value in channel.flatten().tolist()) / 12) ** (1 / 3) for channel in image] for image in maps])
    torch.testing.assert_close(GeM()(maps).flatten(1), by_hand)
    torch.testing.assert_close(GeM(1)(maps).flatten(1), maps.mean((2, 3)))
    torch.testing.assert_close(GeM(200)(maps.double()).flatten(1), maps.double().amax((2, 3)), rtol=0.05, atol=0)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "small", "timm:resnet18", "torchreid:osnet_x0_25", "torchreid:resnet18"])
def test_a_network_s_own_pooling_is_replaced_and_its_weights_stay(needs, name: str, images: torch.Tensor) -> None:
    if ":" in name:
        needs(name.partition(":")[0])
    embedded = {}
    for pooling in ("avg", "gem", "max"):
        torch.manual_seed(0)
        network = build(name, 5, pooling=pooling).eval()
        embedded[pooling] = network.embed(images).detach()
        assert embedded[pooling].shape == (2, network.dimension)
        assert sum(key.rpartition(".")[2] == "p" for key in network.state_dict()) == (pooling == "gem")
    if "osnet" not in name:  # whose last layers stand behind the pooling
        assert (embedded["max"] >= embedded["gem"] - 1e-5).all() and (embedded["gem"] >= embedded["avg"] - 1e-5).all()
    assert len({tuple(vectors.flatten().tolist()) for vectors in embedded.values()}) == 3


@pytest.mark.parametrize("name", ["resnet18", "small", "timm:resnet18"])
def test_a_learnt_power_comes_with_the_weights_of_a_file(needs, name: str, tmp_path) -> None:
    if ":" in name:
        needs(name.partition(":")[0])
    network = build(name, 5, pooling="gem")
    power = next(module for module in network.modules() if isinstance(module, GeM)).p
    torch.nn.init.constant_(power, 4.5)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    again = build(name, 5, pooling="gem", weights=str(tmp_path / "model.safetensors"))
    assert next(module for module in again.modules() if isinstance(module, GeM)).p.item() == 4.5
    assert not any(key.endswith(".p") for key in again.weights_report.unexpected) and again.weights_report.complete
    without = build(name, 5, weights=str(tmp_path / "model.safetensors"))
    assert any(key.endswith(".p") for key in without.weights_report.unexpected)


@pytest.mark.parametrize("pooling", ["gem", "max"])
def test_networks_that_go_on_with_a_pooled_map_do(needs, pooling: str, images: torch.Tensor) -> None:
    needs("timm")
    assert build("timm:lcnet_050", 5, pooling=pooling)(images).embedding.shape == (2, 1280)


def test_the_average_is_of_float32_whatever_the_maps_are() -> None:
    network = build("resnet18", 5).eval()
    images = torch.randn(2, 3, 128, 64)  # smaller ones meet a fault of oneDNN, see training.precision
    assert isinstance(network.backbone.avgpool, Average)
    maps = []
    network.backbone.layer4.register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        embedded = network.embed(images)
    assert maps[0].dtype == torch.bfloat16 and not torch.equal(embedded, embedded.bfloat16().float())
    torch.testing.assert_close(embedded, maps[0].float().mean((2, 3)))


def test_the_power_is_learnt(images: torch.Tensor) -> None:
    network = build("resnet18", 5, pooling="gem")
    network(images).logits.square().sum().backward()
    assert network.backbone.avgpool.p.grad.abs() > 0


def test_a_network_without_such_a_layer_is_refused() -> None:
    with pytest.raises(UserError, match="unknown pooling 'sum'"):
        build("resnet18", 5, pooling="sum")
    pytest.importorskip("timm")
    with pytest.raises(UserError, match="timm:vit_tiny_patch16_224 has no pooling layer that could be gem. Use --model.pooling avg"):
        build("timm:vit_tiny_patch16_224", 5, pooling="gem", image_size=(64, 32))


def test_a_configuration_is_built_as_it_says(images: torch.Tensor) -> None:
    network = configured(ModelConfig("resnet18", neck="bnneck", last_stride=1, pooling="gem"), 5, (64, 32), weights="none")
    assert isinstance(network.backbone.avgpool, GeM) and network.neck is not None
    assert network.backbone.layer4[0].conv2.stride == (1, 1) or network.backbone.layer4[0].conv1.stride == (1, 1)
