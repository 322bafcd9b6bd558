"""Wide residual networks for images of 32x32 pixels.

S. Zagoruyko, N. Komodakis. Wide Residual Networks. BMVC 2016. WRN-28-10 is three stages of four blocks, ten times as wide as
a ResNet's, without dropout: 36,479,194 parameters (36.5 M) and 5.24 G forward MACs with a classifier of 10 classes.

BatchNorm and ReLU come before each convolution. As in the authors' code, a block that changes the width has a 1x1 shortcut,
without BatchNorm, whose input is the output of the first BatchNorm and ReLU; elsewhere the shortcut is the block's input itself.
"""

from __future__ import annotations

from torch import Tensor, nn

from .initial import draw_convolutions


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after a BatchNorm and a ReLU, and a shortcut beside them."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.activate = nn.Sequential(nn.BatchNorm2d(entering), nn.ReLU(inplace=True))
        self.layers = nn.Sequential(
            nn.Conv2d(entering, leaving, 3, stride, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU(inplace=True),
            nn.Conv2d(leaving, leaving, 3, padding=1, bias=False),
        )  # fmt: skip
        self.shortcut = None if entering == leaving else nn.Conv2d(entering, leaving, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        active = self.activate(maps)
        return self.layers(active).add_(maps if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """Images (B, 3, H, W) of any size to a map (B, 64·widening, H/4, W/4), rounded up; drawn by ``draw_convolutions``.

    Args:
        depth: 6n + 4, counting the shortcuts' convolutions; n blocks per stage.
        widening: k, the factor on 16, 32 and 64 channels.
    """

    def __init__(self, depth: int, widening: int) -> None:
        super().__init__()
        self.dimension = 64 * widening
        self.first = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stages = nn.Sequential()
        entering = 16
        for leaving, stride in ((16 * widening, 1), (32 * widening, 2), (64 * widening, 2)):
            later = [WideBlock(leaving, leaving, 1) for _ in range((depth - 4) // 6 - 1)]
            self.stages.append(nn.Sequential(WideBlock(entering, leaving, stride), *later))
            entering = leaving
        self.last = nn.Sequential(nn.BatchNorm2d(self.dimension), nn.ReLU(inplace=True))
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.stages(self.first(images)))


def wrn_28_10() -> WideResNet:
    return WideResNet(28, 10)
