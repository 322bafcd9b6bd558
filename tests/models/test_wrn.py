from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from reid_srdl import seeds
from reid_srdl.models import build
from reid_srdl.models.cost import forward_macs, parameters
from reid_srdl.models.wrn import WideBlock, WideResNet

from .conftest import convolved, normed, shaken


def test_parameters_and_multiplications_are_the_published_ones() -> None:
    with torch.device("meta"):
        network = build("wrn_28_10", 10)
        assert network.backbone(torch.empty(2, 3, 32, 32)).shape == (2, 640, 8, 8)
        assert parameters(build("wrn_28_10", 100)) == 36_536_884
    assert parameters(network) == 36_479_194
    assert forward_macs(network, (32, 32)) == pytest.approx(5.243e9, rel=1e-3)
    assert network.dimension == 640


def test_depth_counts_convolutions() -> None:
    network = WideResNet(16, 1)
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    # At this width the first stage needs no shortcut.
    assert len(convolutions) == 16 - 1
    assert network(torch.randn(2, 3, 9, 16)).shape == (2, 64, 3, 4)


def test_a_shortcut_is_the_input_or_starts_from_what_is_activated() -> None:
    maps = torch.randn(2, 4, 6, 6)
    kept, changed = WideBlock(4, 4, 1), WideBlock(4, 6, 2)
    for block in (kept, changed):
        block.layers[-1].weight.data.zero_()
    assert torch.equal(kept(maps), maps)
    assert torch.equal(changed(maps), changed.shortcut(changed.activate(maps)))


def test_every_parameter_learns() -> None:
    with seeds.forked(2):
        network = WideResNet(16, 1)
        images = torch.randn(4, 3, 16, 16)
    network(images).mean((2, 3)).square().sum().backward()
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_the_seed_decides_what_is_drawn() -> None:
    drawn = []
    for seed in (1, 1, 2):
        with seeds.forked(seed):
            drawn.append(WideResNet(10, 1).first.weight)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_the_forward_pass_is_that_of_the_paper() -> None:
    """BatchNorm and ReLU before each convolution, and behind the last block."""
    network = shaken(WideResNet(16, 2))
    images = torch.randn(2, 3, 12, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = convolved(images, network.first)
        for block in (block for stage in network.stages for block in stage):
            convolutions = [part for part in block.layers if isinstance(part, torch.nn.Conv2d)]
            active = functional.relu(normed(maps, block.activate[0]))
            new = functional.relu(normed(convolved(active, convolutions[0]), block.layers[1]))
            maps = convolved(new, convolutions[1]) + (maps if block.shortcut is None else convolved(active, block.shortcut))
        maps = functional.relu(normed(maps, network.last[0]))
        assert torch.allclose(network(images), maps, atol=1e-5) and maps.std() > 0.1
