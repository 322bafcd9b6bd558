"""Augmentation of whole batches on the training device, with a fresh draw for every image.

Random numbers are drawn on the CPU for the whole global batch, whatever the device and the number of ranks.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..config import MEAN, STD, AugmentConfig

_TRIES = 10
"""Boxes drawn per image. At the usual proportions of images, one box in six does not fit; where none fits, nothing is erased."""


def resized(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """uint8 ``(B, 3, h, w)`` to uint8 ``(B, 3, H, W)``, bilinearly (averaging where it shrinks).

    The same whole numbers that Pillow makes of an image while it is decoded: so an image has one vector, whatever the sizes of the others in its
    set, and in an exported file, too. On a CPU torch has Pillow's algorithm; elsewhere its two steps are followed, each rounded.
    """
    if tuple(images.shape[2:]) == tuple(size):
        return images
    if images.device.type == "cpu":
        return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
    return in_two_steps(images, size)


def in_two_steps(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """As ``resized``, on any device: first the width, then the height, with halves rounded up."""
    for step in ((images.shape[2], size[1]), size):
        if tuple(images.shape[2:]) != step:
            finer = F.interpolate(images.float(), size=step, mode="bilinear", align_corners=False, antialias=True)
            images = (finer + 0.5).floor_().clamp_(0, 255).to(torch.uint8)
    return images


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Values 0..255 as float32, normalised by ImageNet's mean and standard deviation, channels last in memory."""
    mean, inverse = (_kept_there if images.device.type == "cuda" else _mean_and_inverse)(images.device)
    return ((images.float() - mean) * inverse).contiguous(memory_format=torch.channels_last)


def _mean_and_inverse(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    mean, deviation = (torch.tensor(values, device=device).view(1, 3, 1, 1) * 255 for values in (MEAN, STD))
    return mean, 1 / deviation


@functools.cache
def _kept_there(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, kept on a GPU, so that no step waits for the copy. On the CPU networks are traced for export, and a tensor made during tracing must not be kept."""
    with torch.inference_mode(False):  # they serve training, too
        return _mean_and_inverse(device)


def clean(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """uint8 ``(B, 3, h, w)`` as the network sees it when nothing is augmented: float ``(B, 3, H, W)``."""
    return normalised(resized(images, size))


@dataclass(frozen=True)
class Draws:
    """What chance decided for B images.

    ``flip`` bool ``(B,)``; ``top`` and ``left`` int64 ``(B,)``, the crop's corner in -pad..pad; ``erase`` int64 ``(B, 4)``,
    (top, left, height, width) of the erased box in pixels, of height 0 where nothing is erased.
    """

    flip: torch.Tensor
    top: torch.Tensor
    left: torch.Tensor
    erase: torch.Tensor

    def take(self, start: int, stop: int) -> Draws:
        """The draws of a contiguous share of the batch."""
        return Draws(self.flip[start:stop], self.top[start:stop], self.left[start:stop], self.erase[start:stop])

    def to(self, device: torch.device) -> Draws:
        """The draws on a device, without waiting for the copy."""
        flip, top, left, *erase = moved(device, self.flip, self.top, self.left, *self.erase.unbind(1))
        return Draws(flip.bool(), top, left, torch.stack(erase, dim=1))


def moved(device: torch.device, *columns: torch.Tensor) -> list[torch.Tensor]:
    """Columns ``(B,)`` of whole numbers as int64 on a device; to a GPU they go in one copy that is not waited for."""
    packed = torch.stack([column.long() for column in columns])
    return list(packed.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else packed.to(device))


class Augment:
    """Flip, pad and crop, erase, normalise.

    Args:
        config: probabilities and padding.
        size: (height, width) of training in pixels.
    """

    def __init__(self, config: AugmentConfig, size: tuple[int, int]) -> None:
        self.config, self.size = config, size

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        pad = self.config.pad
        flip = torch.rand(count, generator=generator) < self.config.flip
        top, left = torch.randint(-pad, pad + 1, (2, count), generator=generator)
        return Draws(flip, top, left, self._erased(count, generator))

    def _erased(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Random erasing (Zhong et al. 2020): 2 to 40% of the image, 0.3 to 1/0.3 times as high as wide. A box that does not fit is drawn again."""
        height, width = self.size
        chance, down, right = torch.rand(3, count, generator=generator)
        area, aspect = torch.rand(2, _TRIES, count, generator=generator)
        area = (0.02 + 0.38 * area) * height * width
        aspect = torch.exp((2 * aspect - 1) * math.log(1 / 0.3))
        boxes = torch.stack([(area * aspect).sqrt().round(), (area / aspect).sqrt().round()])
        fits = (boxes[0] < height) & (boxes[1] < width)
        first = fits.int().argmax(dim=0)
        box_height, box_width = boxes.gather(1, first.expand(2, 1, count))[:, 0] * ((chance < self.config.erase) & fits.any(dim=0))
        box = (down * (height - box_height + 1), right * (width - box_width + 1), box_height, box_width)
        return torch.stack([value.long() for value in box], dim=1)

    def __call__(self, images: torch.Tensor, draws: Draws) -> torch.Tensor:
        """uint8 ``(B, 3, h, w)`` on any device to float ``(B, 3, H, W)`` on it, channels last."""
        device = images.device
        images = resized(images, self.size)
        draws = draws.to(device)
        rows = self._window(draws.top, self.size[0])
        columns = self._window(draws.left, self.size[1])
        columns = torch.where(draws.flip[:, None], columns.flip(1), columns)
        # One gather crops and flips all channels alike, and never builds the padded images.
        place = self._inside(rows, self.size[0])[:, :, None] * self.size[1] + self._inside(columns, self.size[1])[:, None, :]
        out = images.flatten(2).gather(2, place.flatten(1)[:, None].expand(-1, 3, -1)).view(images.shape)
        if self.config.pad_mode == "zeros":
            out = out * (self._is_inside(rows, self.size[0])[:, None, :, None] & self._is_inside(columns, self.size[1])[:, None, None, :])
        out = normalised(out)
        if self.config.erase > 0:
            out = out * ~self._boxes(draws.erase)
        return out

    @staticmethod
    def _window(start: torch.Tensor, length: int) -> torch.Tensor:
        return start[:, None] + torch.arange(length, device=start.device)

    @staticmethod
    def _is_inside(index: torch.Tensor, length: int) -> torch.Tensor:
        return (index >= 0) & (index < length)

    @staticmethod
    def _inside(index: torch.Tensor, length: int) -> torch.Tensor:
        """Reflects indices at the first and last pixel, as ``reflect`` padding does."""
        return (length - 1) - ((length - 1) - index.abs()).abs()

    def _boxes(self, erase: torch.Tensor) -> torch.Tensor:
        top, left, height, width = (value[:, None] for value in erase.unbind(1))
        rows = torch.arange(self.size[0], device=erase.device)
        columns = torch.arange(self.size[1], device=erase.device)
        in_rows = (rows >= top) & (rows < top + height)
        in_columns = (columns >= left) & (columns < left + width)
        return in_rows[:, None, :, None] & in_columns[:, None, None, :]
