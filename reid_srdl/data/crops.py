"""The crops of ImageNet training (Szegedy et al. 2015), made when an image is decoded: a random part for training, the centre for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from PIL import Image

from ..seeds import generator

NAMES = ("none", "imagenet")
AREA = (0.08, 1.0)
"""Share of the image that a random crop takes."""
ASPECT = (3 / 4, 4 / 3)
"""Width over height of a random crop."""
MARGIN = 256 / 224
"""Size of the resized image over that of its centre crop."""

Crop = Callable[[Image.Image], Image.Image]
"""Takes an image of any size, returns one of the training size."""
Box = tuple[int, int, int, int]
"""(top, left, height, width) in pixels."""


def clean(name: str, size: tuple[int, int]) -> Crop | None:
    """The crop that replaces the random one of that name (one of ``NAMES``) outside training; None where whole images are taken."""
    return None if name == "none" else centre(size)


def centre(size: tuple[int, int]) -> Crop:
    """The middle ``size`` (height, width) of the image, resized so that it just covers ``size`` times 256/224."""

    def crop(image: Image.Image) -> Image.Image:
        high, wide = covering(size, image.height, image.width)
        down, right = image.height / high, image.width / wide
        top, left = round((high - size[0]) / 2), round((wide - size[1]) / 2)
        # Resize and crop in one step: the whole of a long and thin image, once resized, could be larger than memory.
        box = (left * right, top * down, (left + size[1]) * right, (top + size[0]) * down)
        return image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box)

    return crop


def covering(size: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """(height, width) of an image of ``height`` times ``width`` once it just covers ``size`` times 256/224."""
    high, wide = round(size[0] * MARGIN), round(size[1] * MARGIN)
    if high * width >= wide * height:
        return high, high * width // height
    return wide * height // width, wide


def random_resized(size: tuple[int, int], seed: int, stage: int, epoch: int, index: int) -> Crop:
    """A random part of the image, resized to ``size`` (height, width); the same for the same seed, stage, epoch and index of the image."""

    def crop(image: Image.Image) -> Image.Image:
        top, left, height, width = random_box(image.height, image.width, generator(seed, "crop", stage, epoch, index))
        part = image.crop((left, top, left + width, top + height))
        return part.resize((size[1], size[0]), Image.Resampling.BILINEAR)

    return crop


def random_box(height: int, width: int, random: torch.Generator) -> Box:
    """Draws area and aspect at random until such a box fits, ten times at most; after that, takes the largest central box of an allowed aspect.

    This is torchvision's rule, draw for draw.
    """
    low, high = torch.tensor(ASPECT).log().tolist()
    for _ in range(10):
        area = height * width * torch.empty(1).uniform_(*AREA, generator=random).item()
        aspect = torch.empty(1).uniform_(low, high, generator=random).exp().item()
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            top = int(torch.randint(0, height - tall + 1, (1,), generator=random))
            left = int(torch.randint(0, width - wide + 1, (1,), generator=random))
            return top, left, tall, wide
    wide = min(width, round(height * ASPECT[1]))
    tall = min(height, round(width / ASPECT[0]))
    return (height - tall) // 2, (width - wide) // 2, tall, wide

