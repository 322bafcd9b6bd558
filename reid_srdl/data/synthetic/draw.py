"""Antialiased shapes on a layer of premultiplied colour and coverage.

A layer is uint8 ``(H, W, 4)``: red, green, blue, all times coverage, and coverage. It begins as zeros; what is drawn on
it blends at the edges, so that ``compose`` lays it over a picture without a seam.
"""

from __future__ import annotations

import cv2
import numpy as np

Colour = tuple[int, int, int]
Paint = Colour | np.ndarray
"""One colour, or a cloth: periodic RGBA uint8 ``(3 * TILE, 3 * TILE, 4)`` with period ``TILE``."""

TILE = 96
"""Period of a cloth's pattern, in pixels of the canvas."""

_BITS = 4
_ARC = np.linspace(0, np.pi, 6)


def fixed(points: np.ndarray) -> np.ndarray:
    """Points in 1/16 pixels, as OpenCV takes them with ``shift=4``."""
    return np.rint(np.asarray(points) * (1 << _BITS)).astype(np.int32)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times a factor, which may be above 1."""
    red, green, blue = (min(255, max(0, round(channel * factor))) for channel in colour[:3])
    return red, green, blue


def limb(start: np.ndarray, end: np.ndarray, start_radius: float, end_radius: float) -> np.ndarray:
    """Outline ``(12, 2)`` of a tapered capsule between two points."""
    along = np.arctan2(end[1] - start[1], end[0] - start[0])
    tail, tip = along + np.pi / 2 + _ARC, along - np.pi / 2 + _ARC
    return np.concatenate(
        [
            start + start_radius * np.stack([np.cos(tail), np.sin(tail)], axis=1),
            end + end_radius * np.stack([np.cos(tip), np.sin(tip)], axis=1),
        ]
    )


def fill(image: np.ndarray, outline: np.ndarray, paint: Paint, anchor: tuple[float, float] = (0.0, 0.0)) -> None:
    """Fills a polygon ``(N, 2)`` on a layer, or on an RGB picture.

    Args:
        image: the layer, changed in place.
        outline: corners as x, y in pixels.
        paint: a colour, or a cloth (layers only).
        anchor: the point that the cloth's pattern hangs from.
    """
    if not isinstance(paint, np.ndarray):
        cv2.fillPoly(image, [fixed(outline)], (*paint, 255), cv2.LINE_AA, _BITS)
        return
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0)
    high = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, [image.shape[1], image.shape[0]])
    width, height = np.minimum(high - low, 2 * TILE)
    if width <= 0 or height <= 0:
        return
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [fixed(outline - low)], 255, cv2.LINE_AA, _BITS)
    left, top = int(low[0] - anchor[0]) % TILE, int(low[1] - anchor[1]) % TILE
    region = image[low[1] : low[1] + height, low[0] : low[0] + width]
    _blend(region, paint[top : top + height, left : left + width], mask)


def _blend(region: np.ndarray, above: np.ndarray, mask: np.ndarray) -> None:
    weight = mask[..., None].astype(np.uint16)
    mixed = above * weight + region * (255 - weight)
    region[...] = (mixed + 127) // 255


def line(image: np.ndarray, points: np.ndarray, colour: Colour, thickness: int = 1) -> None:
    """An open line through points ``(N, 2)``."""
    cv2.polylines(image, [fixed(points)], False, (*colour, 255), thickness, cv2.LINE_AA, _BITS)


def ellipse(image: np.ndarray, centre: np.ndarray, radii: tuple[float, float], colour: Colour, angle: float = 0.0) -> None:
    """A filled ellipse; ``angle`` in degrees."""
    middle, half = fixed(centre), fixed(np.maximum(radii, 0.3))
    cv2.ellipse(
        image,
        (int(middle[0]), int(middle[1])),
        (int(half[0]), int(half[1])),
        angle,
        0,
        360,
        (*colour, 255),
        -1,
        cv2.LINE_AA,
        _BITS,
    )


def rectangle(image: np.ndarray, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    """A filled upright rectangle."""
    fill(image, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float), colour)


def compose(picture: np.ndarray, layer: np.ndarray) -> None:
    """Lays ``layer`` over the RGB ``picture`` of the same size, in place."""
    clear = (255 - layer[..., 3:]).astype(np.uint16)
    covered = layer[..., :3] + (picture * clear + 127) // 255
    picture[...] = np.minimum(covered, 255)


def smooth_noise(random: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Noise float32 ``(height, width)`` of unit variance at its knots, with grains of about ``cell`` pixels."""
    grid = random.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    large = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return large[cell : cell + height, cell : cell + width]
