"""What a camera sees when nobody is there: one wide picture per camera, of which each shot shows a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from .clutter import bench, bicycle, bin_, bush, car, lettering, poster, sign, trunk
from .draw import Colour, darker, ellipse, fill, line, points, rectangle, smooth_noise

CANVAS = (336, 256)
"""Height and width in pixels of the window that a shot is drawn in, at about twice the size of the final image."""

GROUND = 300
"""Row of the canvas where the feet stand."""

_SIZE = (376, 1100)


@dataclass(frozen=True, eq=False)
class Scene:
    """A camera's background; ``picture`` is a canvas (see ``draw``) that is larger than a shot's by 40 rows and 844 columns."""

    picture: np.ndarray

    def window(self, random: np.random.Generator) -> np.ndarray:
        """A copy of one window ``(*CANVAS, 4)``, somewhere along the scene."""
        top = int(random.integers(_SIZE[0] - CANVAS[0] + 1))
        left = int(random.integers(_SIZE[1] - CANVAS[1] + 1))
        return self.picture[top : top + CANVAS[0], left : left + CANVAS[1]].copy()


def scene(number: int, random: np.random.Generator) -> Scene:
    """The scene of camera ``number``: one of six sorts of place; from the seventh camera on they recur, with other details."""
    picture = np.zeros((*_SIZE, 4), dtype=np.uint8)
    places = (_plaza, _park, _shops, _hall, _road, _bricks)
    places[number % len(places)](picture, random)
    _weather(picture, random)
    picture[..., 3] = 0
    return Scene(cv2.GaussianBlur(picture, (0, 0), 1.1))


def _weather(picture: np.ndarray, random: np.random.Generator) -> None:
    """Uneven surfaces: stains and grain, and shadows that fall across the ground."""
    height, width = _SIZE
    shade = 1 + 0.05 * smooth_noise(random, height, width, 64) + 0.014 * smooth_noise(random, height, width, 9)
    shade += 0.03 * random.standard_normal((height, width)).astype(np.float32)
    if random.random() < 0.6:
        start = random.uniform(0.2, 0.6) * width
        shadow = np.zeros((height, width), dtype=np.uint8)
        far = start + 180 + random.uniform(80, 260)
        fill(shadow, points((start, height), (start + 180, 160), (far, 160), (start + 300, height)), (255, 255, 255))
        shade *= 1 - 0.28 * cv2.GaussianBlur(shadow, (0, 0), 4).astype(np.float32) / 255
    picture[...] = np.clip(picture * shade[..., None], 0, 255)


def _floor(
    picture: np.ndarray, horizon: int, colour: Colour, *, joints: Colour | None = None, step: float = 40.0
) -> None:
    """Ground from the horizon down, with slabs in perspective where ``joints`` has a colour."""
    height, width = _SIZE
    rows = np.linspace(1.06, 0.94, height - horizon)[:, None, None]
    picture[horizon:, :, :3] = np.clip(rows * np.array(colour), 0, 255)
    if joints is None:
        return
    row, gap = float(horizon), step / 5
    while row < height:
        line(picture, points((0, row), (width, row)), joints, 1)
        row, gap = row + gap, gap * 1.35
    for left in np.arange(-width, 2 * width, step):
        line(picture, points((left, horizon), (width / 2 + (left - width / 2) * 1.9, height)), joints, 1)


def _scatter(
    random: np.random.Generator, thing: Callable[..., None], count: int, picture: np.ndarray, low: int, high: int
) -> None:
    """Draws a thing at several places, standing on rows between ``low`` and ``high``, the farther ones first."""
    for row in np.sort(random.uniform(low, high, count)):
        thing(picture, float(random.uniform(0, _SIZE[1])), float(row), random)


def _plaza(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (176, 172, 160)
    for left in range(20, _SIZE[1], 150):
        rectangle(picture, left, -5, left + 84, 92, (74, 90, 106))
        rectangle(picture, left + 39, -5, left + 45, 92, (206, 204, 198))
        rectangle(picture, left - 5, 92, left + 89, 100, (206, 204, 198))
    rectangle(picture, 0, 138, _SIZE[1], 150, (128, 122, 112))
    _floor(picture, 150, (190, 184, 172), joints=(166, 158, 146), step=56)
    _scatter(random, bench, 3, picture, 162, 190)
    _scatter(random, bin_, 3, picture, 168, 220)
    _scatter(random, bush, 2, picture, 160, 172)


def _park(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (96, 124, 76)
    for _ in range(260):
        x, y = random.uniform(0, _SIZE[1]), random.uniform(-10, 128)
        tone = random.uniform(0.55, 1.3)
        ellipse(picture, complex(x, y), *random.uniform(9, 26, 2), darker((84, 116, 62), tone))
    _floor(picture, 128, (112, 142, 78))
    for _ in range(1600):
        x, y = random.uniform(0, _SIZE[1]), random.uniform(130, _SIZE[0])
        line(
            picture,
            points((x, y), (x + random.uniform(-3, 3), y - random.uniform(3, 9))),
            darker((104, 136, 70), random.uniform(0.75, 1.25)),
        )
    path = points((0, 236), (_SIZE[1], 206), (_SIZE[1], 366), (0, 400))
    fill(picture, path, (178, 166, 142))
    _scatter(random, trunk, 5, picture, 150, 200)
    _scatter(random, bench, 2, picture, 190, 214)
    _scatter(random, bush, 5, picture, 140, 205)


def _shops(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (92, 84, 82)
    left = 0.0
    while left < _SIZE[1]:
        width = random.uniform(110, 190)
        front = darker(
            ((178, 60, 54), (44, 92, 130), (212, 176, 88), (70, 116, 84), (126, 78, 120))[random.integers(5)], 0.9
        )
        rectangle(picture, left, -5, left + width - 8, 34, front)
        lettering(picture, left + 14, 6, width - 40, random)
        rectangle(picture, left + 4, 40, left + width - 14, 152, (112, 130, 136))
        for _ in range(9):
            x, y = left + random.uniform(8, width - 30), random.uniform(60, 140)
            rectangle(
                picture,
                x,
                y - random.uniform(8, 30),
                x + random.uniform(5, 16),
                y,
                tuple(random.integers(50, 220, 3).tolist()),
            )
        rectangle(picture, left + 4, 44, left + width / 2, 60, (150, 164, 168))
        left += width
    _floor(picture, 166, (118, 118, 122), joints=(104, 104, 110), step=70)
    rectangle(picture, 0, 160, _SIZE[1], 172, (140, 138, 136))
    _scatter(random, sign, 3, picture, 110, 170)
    _scatter(random, bicycle, 4, picture, 186, 214)
    _scatter(random, bin_, 3, picture, 180, 230)


def _hall(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (214, 212, 204)
    rectangle(picture, 0, 60, _SIZE[1], 70, (170, 176, 184))
    for left in range(30, _SIZE[1], 210):
        poster(picture, left + random.uniform(0, 60), 76, random)
    for left in range(150, _SIZE[1], 290):
        rectangle(picture, left, -5, left + 30, 176, (186, 190, 192))
        rectangle(picture, left + 22, -5, left + 30, 176, (158, 160, 164))
    rectangle(picture, 0, 162, _SIZE[1], 174, (96, 92, 88))
    _floor(picture, 174, (202, 196, 184), joints=(182, 176, 164), step=44)
    for left in range(60, _SIZE[1], 170):
        glow = picture[180:330, left : left + 46, :3].astype(np.uint16) + 14
        picture[180:330, left : left + 46, :3] = np.minimum(glow, 255)
    _scatter(random, bin_, 3, picture, 186, 214)
    _scatter(random, bench, 3, picture, 184, 204)


def _road(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (150, 156, 162)
    for left in range(0, _SIZE[1], 92):
        rectangle(picture, left, -5, left + 46, 60, darker((132, 128, 122), random.uniform(0.7, 1.15)))
    _floor(picture, 74, (96, 98, 102))
    for left in range(-40, _SIZE[1], 130):
        fill(picture, points((left, 134), (left + 60, 134), (left + 64, 141), (left + 2, 141)), (206, 204, 196))
    _scatter(random, car, 5, picture, 124, 196)
    rectangle(picture, 0, 208, _SIZE[1], 216, (180, 178, 172))
    rectangle(picture, 0, 216, _SIZE[1], _SIZE[0], (144, 140, 136))
    for left in range(-300, _SIZE[1], 62):
        line(picture, points((left, 216), (left - 60, _SIZE[0])), (126, 122, 118))
    for row in (244, 288, 350):
        line(picture, points((0, row), (_SIZE[1], row)), (126, 122, 118))
    _scatter(random, sign, 2, picture, 120, 160)


def _bricks(picture: np.ndarray, random: np.random.Generator) -> None:
    picture[..., :3] = (126, 96, 84)
    for row, y in enumerate(range(0, 190, 12)):
        for x in range(-(row % 2) * 16, _SIZE[1], 32):
            rectangle(picture, x + 1, y + 1, x + 30, y + 10, darker((148, 84, 66), random.uniform(0.8, 1.15)))
    for left in (120, 520, 930):
        rectangle(picture, left, 22, left + 90, 192, (66, 74, 70))
        rectangle(picture, left + 70, 104, left + 76, 112, (190, 180, 130))
    for _ in range(7):
        x, y = random.uniform(0, _SIZE[1]), random.uniform(60, 150)
        scrawl = complex(x, y) + np.cumsum(random.normal(0, 12, (9, 2)) @ np.array([1, 1j]))
        line(picture, scrawl, tuple(random.integers(60, 230, 3).tolist()), 3)
    _floor(picture, 192, (116, 108, 104), joints=(100, 92, 88), step=36)
    _scatter(random, bicycle, 5, picture, 204, 236)
    _scatter(random, bin_, 3, picture, 198, 230)
