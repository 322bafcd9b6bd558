"""ResNets for images of 32x32 pixels, in the forms that papers report under the same names.

K. He, X. Zhang, S. Ren, J. Sun. Deep Residual Learning for Image Recognition. CVPR 2016, section 4.2: a 3x3 convolution,
then three stages of n blocks with 16, 32 and 64 channels at 32x32, 16x16 and 8x8, which makes 6n + 2 layers. With a
classifier of 10 classes:

    name                    parameters   forward MACs
    resnet32                   464,154        68.9 M   the paper's: shortcuts without parameters (its option A)
    resnet110                1,727,962       252.9 M
    resnet32_conv              466,906        69.1 M   1x1 convolutions where the width changes (its option B)
    resnet110_conv           1,730,714       253.2 M
    resnet110_bottleneck     1,704,154       247.6 M   bottleneck blocks and option B; n = 18 makes 164 layers of it

The last is what later code often builds when asked for depth 110. Tables print "1.7M" for all three of depth 110, so only MACs or code tell
which one a paper trained.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from .initial import draw_convolutions

# A function of (channels in, channels out, stride) that returns the layers of a block, or the shortcut beside them.
Part = Callable[[int, int, int], nn.Module]


def basic(entering: int, leaving: int, stride: int) -> nn.Sequential:
    """Two 3x3 convolutions."""
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, stride, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU(inplace=True),
        nn.Conv2d(leaving, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving),
    )  # fmt: skip


def bottleneck(entering: int, leaving: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution with the stride, between two 1x1 convolutions that reduce to a quarter of ``leaving`` channels and expand again."""
    narrow = leaving // 4
    return nn.Sequential(
        nn.Conv2d(entering, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True),
        nn.Conv2d(narrow, narrow, 3, stride, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True),
        nn.Conv2d(narrow, leaving, 1, bias=False), nn.BatchNorm2d(leaving),
    )  # fmt: skip


class Subsample(nn.Module):
    """Option A: every ``stride``-th pixel, and zeros for the channels that are new."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.new = leaving - entering
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        return functional.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))


def projection(entering: int, leaving: int, stride: int) -> nn.Sequential:
    """Option B: a 1x1 convolution and a BatchNorm."""
    return nn.Sequential(nn.Conv2d(entering, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving))


class Residual(nn.Module):
    """A block: ReLU of layers plus shortcut."""

    def __init__(self, layers: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(self.layers(maps).add_(self.shortcut(maps)), inplace=True)


class ResNetCifar(nn.Module):
    """Images (B, 3, H, W) of any size to a map (B, D, H/4, W/4), rounded up; drawn by ``draw_convolutions``.

    Args:
        blocks: n, the same in each stage.
        layers: of a block: ``basic`` or ``bottleneck``.
        shortcut: of blocks that change width or size: ``Subsample`` or ``projection``.
        channels: output channels of the three stages; the last is D.
    """

    def __init__(
        self,
        blocks: int,
        layers: Part = basic,
        shortcut: Part = Subsample,
        channels: tuple[int, int, int] = (16, 32, 64),
    ) -> None:
        super().__init__()
        self.dimension = channels[-1]
        self.first = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        )
        self.stages = nn.Sequential()
        entering = 16
        for leaving, stride in zip(channels, (1, 2, 2), strict=True):
            changed = (entering, leaving, stride) != (leaving, leaving, 1)
            beside = shortcut(entering, leaving, stride) if changed else nn.Identity()
            stage = [Residual(layers(entering, leaving, stride), beside)]
            stage += [Residual(layers(leaving, leaving, 1), nn.Identity()) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            entering = leaving
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.stages(self.first(images))


def resnet32() -> ResNetCifar:
    return ResNetCifar(5)


def resnet110() -> ResNetCifar:
    return ResNetCifar(18)


def resnet32_conv() -> ResNetCifar:
    return ResNetCifar(5, shortcut=projection)


def resnet110_conv() -> ResNetCifar:
    return ResNetCifar(18, shortcut=projection)


def resnet110_bottleneck() -> ResNetCifar:
    return ResNetCifar(18, bottleneck, projection, channels=(64, 128, 256))
