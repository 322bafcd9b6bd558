from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from reid_srdl import seeds
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.models.cost import forward_macs, parameters
from reid_srdl.models.resnet_cifar import ResNetCifar, Subsample, basic, bottleneck, projection

from .conftest import convolved, normed, shaken


# Parameters to the last one; MACs as rounded as tables have them.
@pytest.mark.parametrize(
    ("name", "classes", "values", "macs"),
    [
        ("resnet32", 10, 464_154, 68.9e6),
        ("resnet110", 10, 1_727_962, 252.9e6),
        ("resnet32_conv", 10, 466_906, 69.12e6),
        ("resnet32_conv", 100, 472_756, 69.13e6),
        ("resnet110_conv", 10, 1_730_714, 253.1e6),
        ("resnet110_bottleneck", 10, 1_704_154, 247.6e6),
    ],
)
def test_parameters_and_multiplications_are_the_published_ones(
    name: str, classes: int, values: int, macs: float
) -> None:
    with torch.device("meta"):
        network = build(name, classes)
    assert parameters(network) == values
    assert forward_macs(network, (32, 32)) == pytest.approx(macs, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "dimension"), [("resnet32", 64), ("resnet32_conv", 64), ("resnet110_bottleneck", 256)]
)
def test_maps_are_a_fourth_of_the_image(name: str, dimension: int) -> None:
    with torch.device("meta"):
        network = build(name, 10)
        for size, map_size in {(32, 32): (8, 8), (33, 17): (9, 5)}.items():
            assert network.backbone(torch.empty(2, 3, *size)).shape == (2, dimension, *map_size)
    assert network.dimension == dimension


def test_the_first_shortcut_takes_every_second_pixel_and_has_no_parameters() -> None:
    maps = torch.randn(2, 4, 6, 5).contiguous(memory_format=torch.channels_last)
    shortcut = Subsample(4, 6, 2)
    assert not list(shortcut.parameters()) and not list(shortcut.buffers())
    out = shortcut(maps)
    assert torch.equal(out[:, :4], maps[:, :, ::2, ::2])
    assert out.shape == (2, 6, 3, 3) and not out[:, 4:].any()
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_a_block_without_its_layers_is_the_shortcut() -> None:
    network = ResNetCifar(2)
    images = torch.randn(2, 3, 8, 8)
    for stage in network.stages:
        for block in stage:
            block.layers[-1].weight.data.zero_()
    first = network.first(images)
    assert torch.equal(network(images), Subsample(16, 64, 4)(first))


@pytest.mark.parametrize("options", [{}, {"shortcut": projection}, {"layers": bottleneck, "shortcut": projection}])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_parameter_learns(options: dict, precision: torch.dtype) -> None:
    with seeds.forked(2):
        network = ResNetCifar(2, **options, channels=(64, 128, 256) if "layers" in options else (16, 32, 64))
        images = torch.randn(4, 3, 16, 16)
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        maps = network(images)
    maps.float().mean((2, 3)).square().sum().backward()
    still = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    assert not still


def test_the_seed_decides_what_is_drawn() -> None:
    states = []
    for seed in (1, 1, 2):
        with seeds.forked(seed):
            states.append(build("resnet32", 10).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["classifier.weight"], states[2]["classifier.weight"])
    assert not torch.equal(states[0]["backbone.first.0.weight"], states[2]["backbone.first.0.weight"])


def test_what_these_networks_do_not_have_is_said() -> None:
    with pytest.raises(UserError, match="no ImageNet weights of resnet32"):
        build("resnet32", 10, weights="imagenet")
    with pytest.raises(UserError, match="last stride of resnet32 cannot be 1"):
        build("resnet32", 10, last_stride=1)
    with pytest.raises(UserError, match="resnet32_conv"):
        build("resnet32conv", 10)


@pytest.mark.parametrize(("layers", "shortcut"), [(basic, Subsample), (bottleneck, projection)])
def test_the_forward_pass_is_that_of_the_paper(layers, shortcut) -> None:
    """ReLU behind each BatchNorm but the last of a block, and behind the sum (He et al. 2016, Figs. 2 and 5)."""
    network = shaken(ResNetCifar(2, layers, shortcut, channels=(16, 32, 64)))
    images = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = functional.relu(normed(convolved(images, network.first[0]), network.first[1]))
        for block in (block for stage in network.stages for block in stage):
            beside, new = maps, maps
            if isinstance(block.shortcut, nn.Sequential):
                beside = normed(convolved(maps, block.shortcut[0]), block.shortcut[1])
            elif isinstance(block.shortcut, Subsample):
                beside = torch.cat([maps[:, :, ::2, ::2], torch.zeros_like(maps[:, :, ::2, ::2])], dim=1)
            parts = [part for part in block.layers if not isinstance(part, nn.ReLU)]
            for number in range(0, len(parts), 2):
                new = normed(convolved(new, parts[number]), parts[number + 1])
                new = functional.relu(new) if number + 2 < len(parts) else new
            maps = functional.relu(new + beside)
        assert torch.allclose(network(images), maps, atol=1e-5) and maps.std() > 0.1
