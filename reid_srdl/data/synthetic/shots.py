"""Shots of people, passers-by and nothing much, by the cameras of one made-up place."""

from __future__ import annotations

import cv2
import numpy as np

from .camera import Camera, camera, develop
from .clothes import Wardrobe, wardrobe
from .clutter import bin_, low_wall, pole
from .draw import compose, ellipse, smooth_noise
from .figure import body_box, draw_person
from .people import Person, person
from .pose import View
from .scene import CANVAS, GROUND, Scene, scene
from .spec import Spec

SIZE = (128, 64)
"""Height and width of the final images, as in Market-1501."""

Box = tuple[float, float, float, float]


class Place:
    """All cameras, scenes and clothes of one data set. The same spec makes the same place.

    Everything is drawn from generators made of the spec's seed and a purpose, never from one another's, so that a
    shot is the same whatever was rendered before it.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.wardrobe: Wardrobe = wardrobe(spec.random("wardrobe"), spec.train_identities + spec.test_identities)
        self.cameras: list[Camera] = [camera(number, spec.random("camera", number)) for number in range(spec.cameras)]
        self.scenes: list[Scene] = [scene(number, spec.random("scene", number)) for number in range(spec.cameras)]
        folds = smooth_noise(spec.random("folds"), CANVAS[0], CANVAS[1] * 2, 14)
        self.folds = 1 + 0.055 * folds + 0.04 * smooth_noise(spec.random("grain"), CANVAS[0], CANVAS[1] * 2, 5)

    def person(self, label: int) -> Person:
        return person(self.spec.random("person", label), self.wardrobe)

    def shot(self, who: Person, label: int, lens: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Shot ``number`` of a person: in the box of a detector, and in a careful one.

        Returns:
            two RGB uint8 images ``(128, 64, 3)`` of the same moment.
        """
        random = self.spec.random("shot", label, lens, number)
        # Both generators of the visit begin anew for each shot: they draw what all shots of it have in common.
        visit, light = ("visit", label, lens), ("light", label, lens)
        window, view = self._stage(who, lens, number, random, self.spec.random(*visit))
        careful = _upright(body_box(view), 1.05)
        boxes = _jittered(careful, random, 0.05, 0.12), careful
        picture, hand = (self._develop(window, box, lens, self.spec.random(*light), random) for box in boxes)
        return picture, hand

    def distractor(self, number: int, lens: int) -> np.ndarray:
        """A false alarm of the detector: an empty stretch, half somebody, or a passer-by whom nobody looks for."""
        random = self.spec.random("distractor", number)
        passer_by = person(random, self.wardrobe)
        kind = random.random()
        window, view = self._stage(passer_by, lens, 0, random, random, empty=kind < 0.4)
        box = _upright(body_box(view), 1.05)
        if 0.4 <= kind < 0.65:
            box = _part(box, random)
        return self._develop(window, _jittered(box, random, 0.08, 0.2), lens, random, random)

    def junk(self, who: Person, number: int, lens: int) -> np.ndarray:
        """A box that misses most of somebody: only a part of the body, or the body far off its middle."""
        random = self.spec.random("junk", number)
        window, view = self._stage(who, lens, 0, random, random)
        box = _upright(body_box(view), 1.05)
        if random.random() < 0.6:
            box = _part(box, random)
        else:
            left, top, right, bottom = box
            aside = (right - left) * random.uniform(0.42, 0.6) * random.choice([-1, 1])
            box = left + aside, top, right + aside, bottom
        return self._develop(window, box, lens, random, random)

    def _stage(
        self,
        who: Person,
        lens: int,
        number: int,
        random: np.random.Generator,
        visit: np.random.Generator,
        *,
        empty: bool = False,
    ) -> tuple[np.ndarray, View]:
        """The scene with the person in it, and how the camera sees them."""
        settings = self.cameras[lens]
        heading = settings.headings[visit.choice(3, p=(0.45, 0.35, 0.2))] + visit.normal(0, 0.3)
        phase, size, swing = visit.uniform(0, 2 * np.pi), visit.uniform(214, 234), visit.choice([1.0, 1.0, 0.85, 0.15])
        view = View(
            yaw=float(heading + random.normal(0, 0.16)),
            pitch=settings.pitch,
            size=float(size * random.uniform(0.98, 1.02)),
            foot=(CANVAS[1] / 2 + float(random.normal(0, 4)), GROUND + float(random.normal(0, 3))),
            phase=float(phase + 1.9 * number + random.uniform(-0.5, 0.5)),
            swing=float(swing),
        )
        window = self.scenes[lens].window(random)
        crowded = random.random() < settings.crowd
        if crowded and random.random() < 0.4:
            self._passer_by(window, view, lens, random, behind=True)
        if not empty:
            self._put(window, who, view, random)
        if crowded:
            self._in_the_way(window, view, lens, random)
        return window, view

    def _put(self, window: np.ndarray, who: Person, view: View, random: np.random.Generator) -> None:
        """Draws somebody with the shadow at their feet and the light on their clothes."""
        layer = np.zeros((*CANVAS, 4), dtype=np.uint8)
        draw_person(layer, who, view)
        left, top, right, bottom = body_box(view)
        columns = slice(max(0, int(left - 30)), min(CANVAS[1], int(right + 30)))
        rows = slice(max(0, int(top - 12)), min(CANVAS[0], int(bottom + 24)))
        region = np.ascontiguousarray(window[rows, columns])
        shadow = np.zeros((*region.shape[:2], 4), dtype=np.uint8)
        foot = np.array(view.foot) - [columns.start, rows.start]
        ellipse(shadow, foot + [10, 4], (0.14 * view.size, 0.035 * view.size), (0, 0, 0))
        shadow[..., 3] = shadow[..., 3] // 3
        compose(region, cv2.blur(shadow, (9, 5)))
        part = layer[rows, columns]
        start = int(random.integers(CANVAS[1]))
        self._light(part, self.folds[rows, start + columns.start // 2 : start + columns.start // 2 + part.shape[1]])
        compose(region, part)
        window[rows, columns] = region

    def _light(self, part: np.ndarray, folds: np.ndarray) -> None:
        """Folds in the cloth, and edges that turn away from the light."""
        depth = cv2.blur(part[..., 3], (13, 13)).astype(np.float32) / 255
        shade = (0.66 + 0.38 * depth) * folds
        part[..., :3] = np.minimum(part[..., :3] * shade[..., None], part[..., 3:])

    def _passer_by(self, window: np.ndarray, view: View, lens: int, random: np.random.Generator, *, behind: bool) -> None:
        other = person(random, self.wardrobe)
        aside = float(random.uniform(46, 92) * random.choice([-1, 1]))
        scale, lower = (random.uniform(0.72, 0.92), -18.0) if behind else (random.uniform(1.0, 1.12), 12.0)
        there = View(
            yaw=float(view.yaw + random.choice([0, np.pi]) + random.normal(0, 0.3)),
            pitch=self.cameras[lens].pitch,
            size=float(view.size * scale),
            foot=(view.foot[0] + aside, view.foot[1] + lower),
            phase=float(random.uniform(0, 6)),
            swing=1.0,
        )
        self._put(window, other, there, random)

    def _in_the_way(self, window: np.ndarray, view: View, lens: int, random: np.random.Generator) -> None:
        kind, x = random.random(), view.foot[0] + float(random.uniform(-48, 48))
        if kind < 0.3:
            self._passer_by(window, view, lens, random, behind=False)
        elif kind < 0.55:
            pole(window, x, random)
        elif kind < 0.75:
            bin_(window, x, view.foot[1] + 14, random, size=float(random.uniform(1.4, 1.9)))
        else:
            low_wall(window, view.foot[1] - float(random.uniform(20, 90)), random)

    def _develop(
        self, window: np.ndarray, box: Box, lens: int, visit: np.random.Generator, shot: np.random.Generator
    ) -> np.ndarray:
        return develop(self.cameras[lens], _cut(window, box), SIZE, visit, shot)


def _upright(box: Box, scale: float) -> Box:
    """The box of the final images' shape about the same middle, ``scale`` times as high."""
    left, top, right, bottom = box
    x, y, half = (left + right) / 2, (top + bottom) / 2, scale * (bottom - top) / 2
    across = half * SIZE[1] / SIZE[0]
    return x - across, y - half, x + across, y + half


def _jittered(box: Box, random: np.random.Generator, shift: float, stretch: float) -> Box:
    """The box moved by about ``shift`` of its size and scaled by up to ``stretch``, as detectors do."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    x = (left + right) / 2 + random.normal(0, shift) * width
    y = (top + bottom) / 2 + random.normal(0, 0.6 * shift) * height
    scale = 1 + random.uniform(-0.5 * stretch, stretch)
    across = scale * random.uniform(0.94, 1.06)
    return x - across * width / 2, y - scale * height / 2, x + across * width / 2, y + scale * height / 2


def _part(box: Box, random: np.random.Generator) -> Box:
    """About a third of the box: the head, the trunk, the legs or a side."""
    left, top, right, bottom = box
    height = bottom - top
    start, share = ((-0.12, 0.42), (0.2, 0.4), (0.5, 0.45), (0.62, 0.5))[random.integers(4)]
    top, bottom = top + start * height, top + (start + share) * height
    x = (left + right) / 2 + random.uniform(-0.2, 0.2) * (right - left)
    return x - (bottom - top) / 4, top, x + (bottom - top) / 4, bottom


def _cut(window: np.ndarray, box: Box) -> np.ndarray:
    """The box's pixels, moved back inside where it leaves the window."""
    height, width = window.shape[:2]
    left, top, right, bottom = (round(edge) for edge in box)
    wide, high = min(max(4, right - left), width), min(max(8, bottom - top), height)
    left, top = min(max(left, 0), width - wide), min(max(top, 0), height - high)
    return window[top : top + high, left : left + wide]
