"""Head, hair and hat from any side."""

from __future__ import annotations

import numpy as np

from .draw import darker, ellipse, fill, limb, line
from .people import Person
from .pose import HEAD, View

FACING = 0.3
"""From this value of ``View.front`` on, long hair hangs behind the shoulders."""


def draw_hair_behind(canvas: np.ndarray, person: Person, view: View) -> None:
    """Paints the hair that hangs behind somebody who faces the camera; to be called before the trunk is drawn."""
    if view.front >= FACING:
        _hanging_hair(canvas, person, view, view(0, HEAD, 0.014), view.size * person.head)


def draw_head(canvas: np.ndarray, person: Person, view: View) -> None:
    """Paints the head, the face as far as it shows, the hair and the hat."""
    size = view.size * person.head
    middle = view(0, HEAD, 0.014)
    wide, high = size * (0.052 + 0.007 * abs(view.side)), 0.068 * size
    bald = person.hair_style == "bald"
    hair = darker(person.skin, 0.93) if bald else person.hair
    if 0 <= view.front < FACING:
        _hanging_hair(canvas, person, view, middle, size)
    ellipse(canvas, middle, wide, high, hair)
    _face(canvas, person, view, middle, size)
    if not bald:
        # A cap over the skull that slips back as the face turns aside.
        crown = middle + complex(-0.016 * view.side, -0.034 - 0.004 * max(view.front, 0)) * size
        ellipse(canvas, crown, 1.02 * wide, 0.036 * size, hair)
        ellipse(canvas, crown - (0.014 + 0.014j) * size, 0.4 * wide, 0.012 * size, darker(hair, 1.3))
    if view.front < 0:
        _hanging_hair(canvas, person, view, middle, size)
    _hat(canvas, person, view, middle, size, wide)


def _face(canvas: np.ndarray, person: Person, view: View, middle: complex, size: float) -> None:
    visible = min(1.0, max(0.0, view.front + 0.4))
    if visible == 0:
        # From behind, only an ear shows.
        ear = middle + complex(0.05 * np.sign(view.side), 0.008) * size
        ellipse(canvas, ear, 0.008 * size, 0.016 * size, darker(person.skin, 0.9))
        return
    centre = middle + complex(0.028 * view.side, 0.013) * size
    wide = size * (0.018 + 0.027 * visible)
    ellipse(canvas, centre, wide, 0.054 * size, person.skin)
    turned, front = centre + 0.022 * view.side * size, max(view.front, 0.25)
    for eye in (-0.018, 0.018):
        place = turned + complex(eye * front, -0.008) * size
        if abs(place.real - centre.real) < 0.95 * wide:
            ellipse(canvas, place, 0.009 * size, 0.006 * size, darker(person.skin, 0.45))
    line(canvas, [turned + 0.002j * size, turned + 0.012j * size], darker(person.skin, 0.8), 2)
    ellipse(canvas, turned + 0.03j * size, 0.013 * size * front, 0.004 * size, darker(person.skin, 0.62))


def _hanging_hair(canvas: np.ndarray, person: Person, view: View, middle: complex, size: float) -> None:
    """The hair that hangs down: behind the head where the face shows, over the back where it does not."""
    back, style, hair = -0.045 * view.side * size, person.hair_style, person.hair
    if style == "bob":
        fill(canvas, limb(middle + 0.4 * back, middle + 0.5 * back + 0.045j * size, 0.058 * size, 0.05 * size), hair)
    elif style == "long":
        fill(canvas, limb(middle + 0.5 * back, middle + 0.9 * back + 0.12j * size, 0.056 * size, 0.046 * size), hair)
    elif style == "ponytail":
        knot = middle + 1.25 * back - 0.01j * size
        fill(canvas, limb(knot, knot + 0.3 * back + 0.12j * size, 0.02 * size, 0.013 * size), hair)
    elif style == "bun":
        ellipse(canvas, middle + 0.9 * back - 0.06j * size, 0.028 * size, 0.026 * size, darker(hair, 0.9))


def _hat(canvas: np.ndarray, person: Person, view: View, middle: complex, size: float, wide: float) -> None:
    if person.hat is None:
        return
    colour, dark = person.hat_colour, darker(person.hat_colour, 0.7)
    crown = middle - complex(0.006 * view.side, 0.036) * size
    ellipse(canvas, crown, 1.1 * wide, 0.04 * size, colour)
    brow = crown + 0.018j * size
    if person.hat == "beanie":
        fill(canvas, limb(brow - 0.9 * wide, brow + 0.9 * wide, 0.014 * size, 0.014 * size), dark)
    elif person.hat == "brim":
        ellipse(canvas, brow, 1.85 * wide, 0.017 * size, dark)
    elif view.front > -0.4:
        peak = brow + complex(0.05 * view.side, 0.004) * size
        ellipse(canvas, peak, 0.038 * size * (0.55 + 0.6 * abs(view.side)), 0.012 * size, dark)
    else:
        line(canvas, [brow - 0.9 * wide, brow + 0.9 * wide], dark, 2)
