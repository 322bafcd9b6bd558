"""Head, hair and hat from any side."""

from __future__ import annotations

import numpy as np

from .draw import darker, ellipse, fill, limb, line
from .people import Person
from .pose import HEAD, View


def draw_head(layer: np.ndarray, person: Person, view: View) -> None:
    """Paints the hair behind, the face as far as it shows, the hair above and the hat."""
    size = view.size * person.head
    side, front = np.sin(view.yaw), np.cos(view.yaw)
    middle = view.project(np.array([0.0, HEAD, 0.012]))
    wide, high = size * (0.047 + 0.008 * abs(side)), 0.066 * size
    bald = person.hair_style == "bald"
    hair = darker(person.skin, 0.93) if bald else person.hair
    if front >= 0:
        _hanging_hair(layer, person, view, middle, size)
    ellipse(layer, middle, (wide, high), hair)
    _face(layer, person, middle, size, side, front)
    if not bald:
        # The fringe: a cap over the skull that slips back as the face turns to the camera.
        crown = middle + np.array([-0.014 * side * size, -0.026 * size - 0.006 * size * max(front, 0)])
        ellipse(layer, crown, (1.04 * wide, 0.042 * size), hair)
        ellipse(layer, crown + np.array([-0.012 * size, -0.016 * size]), (0.35 * wide, 0.012 * size), darker(hair, 1.35))
    if front < 0:
        _hanging_hair(layer, person, view, middle, size)
    _hat(layer, person, middle, size, wide, side, front)


def _face(layer: np.ndarray, person: Person, middle: np.ndarray, size: float, side: float, front: float) -> None:
    # Seen from 110 degrees and more, nothing of it shows but an ear.
    visible = np.clip(front + 0.45, 0, 1)
    if visible <= 0:
        ellipse(layer, middle + [0.045 * size * np.sign(side), 0.005 * size], (0.008 * size, 0.016 * size), person.skin)
        return
    centre = middle + np.array([0.03 * side * size, 0.014 * size])
    wide = size * (0.018 + 0.022 * visible)
    ellipse(layer, centre, (wide, 0.052 * size), person.skin)
    dark = darker(person.skin, 0.55)
    turn = np.array([0.024 * side * size, 0])
    for eye in (-1, 1):
        place = centre + turn + [eye * 0.016 * size * max(front, 0.25), -0.006 * size]
        if abs(place[0] - centre[0]) < 0.95 * wide:
            ellipse(layer, place, (0.007 * size, 0.005 * size), dark)
    ellipse(layer, centre + turn + [0, 0.026 * size], (0.011 * size * max(front, 0.4), 0.004 * size), darker(person.skin, 0.7))


def _hanging_hair(layer: np.ndarray, person: Person, view: View, middle: np.ndarray, size: float) -> None:
    """The hair that hangs down: behind the head where the face shows, over the back where it does not."""
    back = view.project(np.array([0.0, HEAD, -0.045])) - view.project(np.array([0.0, HEAD, 0.0]))
    if person.hair_style == "bob":
        fill(layer, limb(middle + 0.4 * back, middle + 0.6 * back + [0, 0.05 * size], 0.055 * size, 0.05 * size), person.hair)
    elif person.hair_style == "long":
        fill(layer, limb(middle + 0.5 * back, middle + back + [0, 0.14 * size], 0.056 * size, 0.042 * size), person.hair)
    elif person.hair_style == "ponytail":
        knot = middle + 1.2 * back - [0, 0.01 * size]
        fill(layer, limb(knot, knot + 0.3 * back + [0, 0.13 * size], 0.02 * size, 0.013 * size), person.hair)
    elif person.hair_style == "bun":
        ellipse(layer, middle + 0.9 * back - [0, 0.055 * size], (0.028 * size, 0.026 * size), darker(person.hair, 0.9))


def _hat(layer: np.ndarray, person: Person, middle: np.ndarray, size: float, wide: float, side: float, front: float) -> None:
    if person.hat is None:
        return
    colour, dark = person.hat_colour, darker(person.hat_colour, 0.7)
    crown = middle - [0.006 * side * size, 0.034 * size]
    ellipse(layer, crown, (1.1 * wide, 0.04 * size), colour)
    brow = crown + [0, 0.018 * size]
    if person.hat == "beanie":
        fill(layer, limb(brow - [0.9 * wide, 0], brow + [0.9 * wide, 0], 0.016 * size, 0.016 * size), dark)
    elif person.hat == "brim":
        ellipse(layer, brow, (1.95 * wide, 0.017 * size), dark)
    elif front > -0.4:
        peak = brow + np.array([0.05 * side * size, 0.004 * size])
        ellipse(layer, peak, (0.036 * size * (0.55 + 0.6 * abs(side)), 0.012 * size), dark)
    else:
        line(layer, np.stack([brow - [0.9 * wide, 0], brow + [0.9 * wide, 0]]), dark, 2)
