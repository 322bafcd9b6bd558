"""Antialiased shapes on a canvas.

A canvas is uint8 ``(H, W, 4)``: red, green, blue, and a fourth channel that collects where something was drawn since it
was last cleared. Points are complex numbers, ``x + 1j * y`` in pixels, so that turning and scaling is multiplying.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Colour = tuple[int, int, int]
Paint = Colour | np.ndarray
"""One colour, or a cloth: uint8 ``(3 * TILE, 3 * TILE, 4)`` with a period of ``TILE`` pixels."""
Points = np.ndarray | Sequence[complex]

TILE = 96

_BITS = 4
_ARC = np.exp(1j * np.linspace(np.pi / 2, 3 * np.pi / 2, 6))


def points(*pairs: tuple[float, float]) -> np.ndarray:
    """Complex points of x and y."""
    return np.array([complex(x, y) for x, y in pairs])


def fixed(shape: Points) -> np.ndarray:
    """Points as int32 ``(N, 2)`` in 1/16 pixels, which OpenCV takes with ``shift=4``."""
    pairs = np.asarray(shape, dtype=np.complex128).view(np.float64)
    return (pairs * (1 << _BITS)).astype(np.int32).reshape(-1, 2)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour times a factor, which may be above 1."""
    red, green, blue = colour
    return min(255, int(red * factor)), min(255, int(green * factor)), min(255, int(blue * factor))


def limb(start: complex, end: complex, start_radius: float, end_radius: float) -> np.ndarray:
    """Outline (12 points) of a tapered capsule between two points."""
    along = end - start
    along = along / abs(along) if along else 1j
    return np.concatenate([start + start_radius * along * _ARC, end - end_radius * along * _ARC])


def fill(canvas: np.ndarray, outline: Points, paint: Paint, anchor: complex = 0j) -> None:
    """Fills a polygon with a colour, or with a cloth whose pattern hangs from ``anchor``."""
    if not isinstance(paint, np.ndarray):
        cv2.fillPoly(canvas, [fixed(outline)], (*paint, 255), cv2.LINE_AA, _BITS)
        return
    corners = fixed(outline)
    left, top, width, height = cv2.boundingRect(corners >> _BITS)
    left, top = max(0, left - 1), max(0, top - 1)
    width, height = min(width + 3, 2 * TILE, canvas.shape[1] - left), min(height + 3, 2 * TILE, canvas.shape[0] - top)
    if width <= 0 or height <= 0:
        return
    mask = np.zeros((height, width), dtype=np.uint8)
    corners -= np.array([left, top], dtype=np.int32) << _BITS
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, _BITS)
    across, down = int(left - anchor.real) % TILE, int(top - anchor.imag) % TILE
    region = canvas[top : top + height, left : left + width]
    weight = mask.astype(np.float32) / 255
    above = np.ascontiguousarray(paint[down : down + height, across : across + width])
    region[...] = cv2.blendLinear(above, np.ascontiguousarray(region), weight, 1 - weight)


def line(canvas: np.ndarray, path: Points, colour: Colour, thickness: int = 1) -> None:
    """An open line through points."""
    cv2.polylines(canvas, [fixed(path)], False, (*colour, 255), thickness, cv2.LINE_AA, _BITS)


def ellipse(canvas: np.ndarray, centre: complex, across: float, down: float, colour: Colour) -> None:
    """A filled upright ellipse with two half axes."""
    scale = 1 << _BITS
    middle = round(centre.real * scale), round(centre.imag * scale)
    half = max(6, round(across * scale)), max(6, round(down * scale))
    cv2.ellipse(canvas, middle, half, 0, 0, 360, (*colour, 255), -1, cv2.LINE_AA, _BITS)


def rectangle(canvas: np.ndarray, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    """A filled upright rectangle."""
    fill(canvas, points((left, top), (right, top), (right, bottom), (left, bottom)), colour)


def smooth_noise(random: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Noise float32 ``(height, width)`` of unit variance at its knots, with grains of about ``cell`` pixels."""
    grid = random.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    large = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    return large[cell : cell + height, cell : cell + width]
