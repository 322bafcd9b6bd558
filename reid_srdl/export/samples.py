"""The images that an export is checked on, and that int8 takes its ranges from: pixels of the network's input size."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ..data.augment import resized
from ..data.records import Split
from ..runs import Trained
from ..seeds import generator


def pixels(trained: Trained, split: Split, count: int, *, seed: int, purpose: str) -> torch.Tensor:
    """uint8 ``(N, 3, H, W)`` of ``count`` images of a split (all, where it has fewer), drawn by the seed.

    Raises:
        UserError: an image that cannot be read.
    """
    rows = torch.randperm(len(split), generator=generator(seed, "export", purpose))[:count].sort().values
    source = trained.source(split.take(rows.numpy()).files)
    return torch.cat([resized(source.batch(range(start, min(start + 64, len(source)))), trained.size) for start in range(0, len(source), 64)])


def random_pictures(size: tuple[int, int], count: int, *, seed: int) -> torch.Tensor:
    """``count`` images uint8 ``(N, 3, H, W)``: patches of random colours with noise, for when there are no real images."""
    random = generator(seed, "export", "pictures")
    patches = F.interpolate(torch.rand(count, 3, 6, 3, generator=random) * 255, size=size, mode="bilinear", align_corners=False)
    return (patches + 12 * torch.randn(count, 3, *size, generator=random)).round().clamp(0, 255).to(torch.uint8)
