from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from reid_srdl import seeds
from reid_srdl.models import build
from reid_srdl.models.cost import forward_macs, parameters
from reid_srdl.models.densenet_bc import DenseLayer, DenseNetBC

from .conftest import convolved, normed, shaken


@pytest.mark.parametrize(
    ("name", "dimension", "values", "macs"),
    [("densenet_bc_100_12", 342, 769_162, 288e6), ("densenet_bc_190_40", 2190, 25_624_430, 9.302e9)],
)
def test_parameters_and_multiplications_are_the_published_ones(
    name: str, dimension: int, values: int, macs: float
) -> None:
    with torch.device("meta"):
        network = build(name, 10)
        assert network.backbone(torch.empty(2, 3, 32, 32)).shape == (2, dimension, 8, 8)
    assert network.dimension == dimension
    assert parameters(network) == values
    assert forward_macs(network, (32, 32)) == pytest.approx(macs, rel=1e-3)


def test_a_layer_keeps_what_came_in_and_adds_to_it() -> None:
    maps = torch.randn(2, 6, 5, 5).contiguous(memory_format=torch.channels_last)
    out = DenseLayer(6, 4)(maps)
    assert out.shape == (2, 10, 5, 5) and torch.equal(out[:, :6], maps)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_every_parameter_learns() -> None:
    with seeds.forked(2):
        network = DenseNetBC(16, 4)
        images = torch.randn(4, 3, 16, 16)
    network(images).mean((2, 3)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_the_seed_decides_what_is_drawn() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with seeds.forked(seed):
            drawn.append(DenseNetBC(10, 4).layers[0].weight)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_forward_pass_is_that_of_the_paper() -> None:
    """BatchNorm and ReLU before each convolution, averages between the blocks, and BatchNorm and ReLU behind the last."""
    network = shaken(DenseNetBC(16, 4))
    images = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))

    def before(maps, parts):
        for norm, convolution in zip(*([part for part in parts if isinstance(part, kind)] for kind in (torch.nn.BatchNorm2d, torch.nn.Conv2d)), strict=True):
            maps = convolved(functional.relu(normed(maps, norm)), convolution)
        return maps

    with torch.no_grad():
        maps = convolved(images, network.layers[0])
        for part in network.layers[1:-2]:
            maps = torch.cat([maps, before(maps, part.layers)], dim=1) if isinstance(part, DenseLayer) else functional.avg_pool2d(before(maps, part), 2)
        maps = functional.relu(normed(maps, network.layers[-2]))
        assert torch.allclose(network(images), maps, atol=1e-5) and maps.std() > 0.1
