from __future__ import annotations

import pytest
import torch
from torch import nn

from reid_srdl import seeds
from reid_srdl.models.initial import draw_convolutions


def test_convolutions_are_drawn_by_what_goes_out_of_them() -> None:
    network = nn.Sequential(nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Conv2d(128, 256, 1))
    with seeds.forked(1):
        draw_convolutions(network)
    assert network[0].weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    assert network[2].weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert (network[1].weight == 1).all() and (network[1].bias == 0).all()


def test_the_same_seed_draws_the_same() -> None:
    first, second = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
    for network in (first, second):
        with seeds.forked(4):
            draw_convolutions(network)
    assert torch.equal(first.weight, second.weight)
