"""Densely connected networks with bottlenecks and compression, for images of 32x32 pixels.

G. Huang, Z. Liu, L. van der Maaten, K. Weinberger. Densely Connected Convolutional Networks. CVPR 2017. Three blocks, in
which every layer adds ``growth`` channels to all that came before it; between blocks half of the channels remain. With a
classifier of 10 classes:

    name                  parameters   forward MACs
    densenet_bc_100_12       769,162        287.9 M
    densenet_bc_190_40    25,624,430         9.30 G

Every layer copies what came before it, and training keeps the copies: for densenet_bc_190_40 334 MiB an image of 32x32 in
float32, 21 GiB for a batch of 64.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .initial import draw_convolutions


class DenseLayer(nn.Module):
    """(B, C, H, W) to (B, C + growth, H, W): the input, followed by what a 1x1 and a 3x3 convolution make of it."""

    def __init__(self, entering: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(entering), nn.ReLU(inplace=True), nn.Conv2d(entering, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat((maps, self.layers(maps)), 1)


def transition(channels: int) -> nn.Sequential:
    """Between blocks: half of the channels, half of the height and width."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels // 2, 1, bias=False),
        nn.AvgPool2d(2),
    )


class DenseNetBC(nn.Module):
    """Images (B, 3, H, W) of 4x4 and more to a map (B, D, H/4, W/4), rounded down; drawn by ``draw_convolutions``.

    Args:
        depth: 6n + 4; n layers of two convolutions in each of three blocks.
        growth: channels that a layer adds.
    """

    def __init__(self, depth: int, growth: int) -> None:
        super().__init__()
        channels = 2 * growth
        self.layers = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1, bias=False))
        for block in range(3):
            if block:
                self.layers.append(transition(channels))
                channels //= 2
            for _ in range((depth - 4) // 6):
                self.layers.append(DenseLayer(channels, growth))
                channels += growth
        self.layers.extend([nn.BatchNorm2d(channels), nn.ReLU(inplace=True)])
        self.dimension = channels
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def densenet_bc_100_12() -> DenseNetBC:
    return DenseNetBC(100, 12)


def densenet_bc_190_40() -> DenseNetBC:
    return DenseNetBC(190, 40)
