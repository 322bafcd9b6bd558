"""Things that stand about: in the background, and in front of people."""

from __future__ import annotations

import numpy as np

from .draw import Colour, darker, ellipse, fill, limb, line, points, rectangle

_DULL: tuple[Colour, ...] = ((58, 66, 70), (44, 84, 60), (122, 122, 118), (92, 70, 50), (60, 70, 104))
_LOUD: tuple[Colour, ...] = ((184, 46, 42), (222, 186, 60), (42, 92, 160), (226, 224, 218), (50, 134, 92), (36, 36, 40))


def _any(random: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[random.integers(len(colours))]


def bin_(canvas: np.ndarray, x: float, y: float, random: np.random.Generator, size: float = 1.0) -> None:
    """A litter bin that stands at ``(x, y)``."""
    colour, half, high = _any(random, _DULL), 14 * size, 50 * size
    fill(canvas, points((x - half, y - high), (x + half, y - high), (x + 0.85 * half, y), (x - 0.85 * half, y)), colour)
    rectangle(canvas, x - 1.1 * half, y - high - 6 * size, x + 1.1 * half, y - high + 2 * size, darker(colour, 0.7))
    rectangle(canvas, x - 0.6 * half, y - 0.75 * high, x + 0.6 * half, y - 0.55 * high, darker(colour, 1.5))


def bench(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A wooden bench."""
    wood = darker((142, 104, 68), random.uniform(0.8, 1.15))
    for row in (-46, -38, -26):
        rectangle(canvas, x - 52, y + row, x + 52, y + row + 6, wood)
    for foot in (-44, 44):
        rectangle(canvas, x + foot - 3, y - 26, x + foot + 3, y, (62, 60, 60))


def bicycle(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A parked bicycle."""
    colour, radius = _any(random, _LOUD), 21
    back, front = complex(x - 32, y - radius), complex(x + 32, y - radius)
    circle = radius * np.exp(1j * np.linspace(0, 2 * np.pi, 24))
    for hub in (back, front):
        line(canvas, hub + circle, (36, 36, 38), 3)
    pedals, saddle, bar = complex(x - 4, y - 17), complex(x - 14, y - 50), complex(x + 24, y - 52)
    line(canvas, [back, saddle, pedals, back], colour, 3)
    line(canvas, [saddle, bar, pedals], colour, 3)
    line(canvas, [front, bar, bar - 8 - 8j], colour, 3)
    line(canvas, [saddle - 8 - 4j, saddle + 8 - 4j], (30, 30, 30), 4)


def bush(canvas: np.ndarray, x: float, y: float, random: np.random.Generator, size: float = 1.0) -> None:
    """A shrub."""
    for _ in range(16):
        place = complex(x + random.normal(0, 22) * size, y - 18 * size + random.normal(0, 9) * size)
        radius = random.uniform(8, 15) * size
        ellipse(canvas, place, radius, 0.8 * radius, darker((66, 104, 54), random.uniform(0.6, 1.3)))


def trunk(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A tree, of which the camera sees the trunk."""
    colour, lean = darker((98, 80, 62), random.uniform(0.7, 1.1)), random.uniform(-14, 14)
    fill(canvas, points((x - 13, y), (x + 13, y), (x + lean + 9, -5), (x + lean - 9, -5)), colour)
    line(canvas, points((x - 5, y), (x + lean - 3, -5)), darker(colour, 0.7), 3)


def car(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A parked car, from the side."""
    colour = _any(random, (*_LOUD, (152, 156, 160), (104, 110, 118)))
    body = points((-104, -16), (-100, -44), (-62, -52), (-34, -80), (40, -80), (72, -52), (106, -42), (108, -14))
    fill(canvas, body + complex(x, y), colour)
    fill(canvas, points((-52, -52), (-30, -74), (0, -74), (0, -52)) + complex(x, y), (52, 62, 72))
    fill(canvas, points((5, -52), (5, -74), (38, -74), (62, -52)) + complex(x, y), (52, 62, 72))
    line(canvas, points((-100, -30), (106, -28)) + complex(x, y), darker(colour, 0.7), 2)
    for wheel in (-64, 68):
        ellipse(canvas, complex(x + wheel, y - 14), 19, 19, (28, 28, 30))
        ellipse(canvas, complex(x + wheel, y - 14), 9, 9, (150, 150, 152))


def sign(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A road sign on its post."""
    rectangle(canvas, x - 3, y - 60, x + 3, y + 60, (118, 120, 122))
    rectangle(canvas, x - 20, y - 92, x + 20, y - 52, _any(random, _LOUD))
    rectangle(canvas, x - 12, y - 78, x + 12, y - 70, (230, 230, 226))


def lettering(canvas: np.ndarray, x: float, y: float, width: float, random: np.random.Generator) -> None:
    """Marks that look like words from afar, from ``x`` on."""
    for left in np.arange(x, x + width, 13):
        if random.random() < 0.85:
            stroke = points((left, y + random.uniform(2, 18)), (left + 4, y + 2), (left + 8, y + random.uniform(4, 20)))
            line(canvas, stroke, (236, 232, 220), 2)


def poster(canvas: np.ndarray, x: float, y: float, random: np.random.Generator) -> None:
    """A framed poster on a wall, its left upper corner at ``(x, y)``."""
    rectangle(canvas, x - 3, y - 3, x + 61, y + 79, (84, 86, 90))
    rectangle(canvas, x, y, x + 58, y + 76, _any(random, _LOUD))
    ellipse(canvas, complex(x + 29, y + random.uniform(22, 40)), 17, 15, _any(random, _LOUD))
    rectangle(canvas, x + 8, y + 58, x + 50, y + 63, (222, 222, 216))
    rectangle(canvas, x + 8, y + 67, x + 38, y + 70, (222, 222, 216))


def pole(canvas: np.ndarray, x: float, random: np.random.Generator) -> None:
    """A lamp post in front of everything, as high as the canvas."""
    half = random.uniform(5, 12)
    colour = darker((104, 106, 108), random.uniform(0.5, 1.4))
    height = canvas.shape[0]
    rectangle(canvas, x - half, -5, x + half, height + 5, colour)
    rectangle(canvas, x + 0.3 * half, -5, x + half, height + 5, darker(colour, 0.75))


def low_wall(canvas: np.ndarray, y: float, random: np.random.Generator) -> None:
    """A wall, hedge or the bonnet of a car along the lower edge, from row ``y`` down."""
    height, width = canvas.shape[:2]
    kind = random.integers(3)
    if kind == 0:
        rectangle(canvas, -5, y, width + 5, height + 5, (142, 138, 130))
        rectangle(canvas, -5, y, width + 5, y + 9, (172, 168, 160))
    elif kind == 1:
        for x in np.linspace(0, width, 8):
            bush(canvas, x, y + 26, random)
        rectangle(canvas, -5, y + 34, width + 5, height + 5, (60, 92, 50))
    else:
        colour, slope = _any(random, _LOUD), random.uniform(-18, 18)
        fill(canvas, limb(complex(-40, y + 50 + slope), complex(width + 40, y + 50 - slope), 50, 50), colour)
        rectangle(canvas, -5, y + 62, width + 5, height + 5, darker(colour, 0.7))
        ellipse(canvas, complex(width * 0.3, y + 62), 20, 10, (226, 224, 210))
