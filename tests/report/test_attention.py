"""Grad-CAM: a planted patch that alone decides is where the map is large; networks without places say so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from reid_srdl.models import build
from reid_srdl.models.classifier import IdentityClassifier
from reid_srdl.models.from_torchvision import without_head
from reid_srdl.report import attention


def network(backbone: nn.Module, dimension: int) -> IdentityClassifier:
    torch.manual_seed(0)
    return IdentityClassifier(backbone, dimension, 3).eval()


class Colours(nn.Module):
    """A map (B, 3, 8, 4) of how red, green and blue each part of an image (B, 3, 32, 16) is; pooled here where asked."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4)
        self.weight = nn.Parameter(torch.ones(()))
        self.last = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()) if pooled else nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.pool(images * self.weight))


@pytest.mark.parametrize("pooled", [False, True])
def test_the_map_is_large_where_a_planted_patch_decides(pooled):
    images = 0.05 * torch.rand(2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    images[0, 0, 4:8, 8:12] += 3  # red at one place; green at another, which the other embedding knows nothing of
    images[0, 1, 24:28, 0:4] += 9
    images[1, 2, 16:24, 4:8] += 2
    toward = torch.tensor([[1.0, 0, 0], [0, 0, 1]])
    heat = attention.attention(network(Colours(pooled), 3), images, toward)
    assert heat.shape == (2, 8, 4)
    assert heat[0, 1, 2] == 1 and heat[0, 6, 0] < 0.05 and heat[0].flatten().sort().values[-2] < 0.05
    assert set(torch.nonzero(heat[1] > 0.9).flatten().tolist()) == {4, 5, 1} and (heat[1] > 0.05).sum() == 2


def test_the_places_shares_add_up_to_the_product():
    model, images = network(Colours(False), 3), torch.rand(1, 3, 32, 16)
    toward = torch.rand(1, 3)
    heat = attention.attention(model, images, toward)
    shares = (model.backbone(images) * toward[0, :, None, None]).sum(1)
    torch.testing.assert_close(heat, shares / shares.max())
    torch.testing.assert_close(shares.mean(), (model.embed(images) * toward).sum())


def test_nothing_stays_behind_in_the_network():
    model = network(Colours(True), 3)
    before = model.embed(torch.ones(1, 3, 32, 16))
    attention.attention(model, torch.rand(1, 3, 32, 16), torch.ones(1, 3))
    assert model.backbone.weight.grad is None and not any(module._forward_hooks for module in model.modules())
    assert torch.equal(model.embed(torch.ones(1, 3, 32, 16)), before)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "densenet121", "torchreid:osnet_x0_25", "resnet18"])
def test_real_backbones_have_a_map_of_several_places(name):
    torch.manual_seed(0)
    model = build(name, 3).eval()
    images = torch.rand(1, 3, 64, 64)
    heat = attention.attention(model, images, model.embed(images).detach())
    assert heat.ndim == 3 and heat[0].numel() >= 4 and 0 <= heat.min() and heat.max() == 1


def test_transformers_answer_by_a_token_or_keep_their_places():
    torch.manual_seed(0)
    token, dimension = without_head(torchvision.models.VisionTransformer(32, 16, 2, 2, 32, 64))
    with pytest.raises(attention.NoMap):
        attention.attention(network(token, dimension), torch.rand(1, 3, 32, 32), torch.rand(1, dimension))
    windows, dimension = without_head(torchvision.models.SwinTransformer([4, 4], 16, [2, 2], [2, 2], [4, 4]))
    assert attention.attention(network(windows, dimension), torch.rand(1, 3, 64, 64), torch.rand(1, dimension)).shape == (1, 8, 8)


def test_overlaid_pictures_are_brightest_where_the_map_is():
    image = np.full((32, 16, 3), 120, np.uint8)
    heat = np.zeros((8, 4), np.float32)
    heat[2, 1] = 1
    shown = attention.overlaid(image, heat)
    assert shown.shape == image.shape and np.unravel_index(shown.sum(axis=2).argmax(), (32, 16)) in [(y, x) for y in (9, 10) for x in (5, 6)]
