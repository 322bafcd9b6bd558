"""Shots of people, of passers-by and of nothing much, by the cameras of one made-up place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .camera import Camera, Light, camera, develop, light
from .clothes import Wardrobe, wardrobe
from .clutter import bin_, low_wall, pole
from .draw import ellipse, smooth_noise
from .figure import body_box, draw_person
from .people import Person, person
from .pose import View
from .scene import CANVAS, GROUND, Scene, scene
from .spec import Spec

SIZE = (128, 64)
"""Height and width of the final images, as in Market-1501."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Visit:
    """A person's walk past a camera: what its shots have in common. Angles and ``size`` are as in ``View``."""

    lens: int
    heading: float
    phase: float
    size: float
    swing: float
    light: Light


class Place:
    """All cameras, scenes and clothes of one data set. The same spec makes the same place.

    Everything is drawn from generators made of the spec's seed and a purpose, so that a shot is the same whatever was
    rendered before it.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.wardrobe: Wardrobe = wardrobe(spec.random("wardrobe"), spec.train_identities + spec.test_identities)
        self.cameras: list[Camera] = [camera(number, spec.random("camera", number)) for number in range(spec.cameras)]
        self.scenes: list[Scene] = [scene(number, spec.random("scene", number)) for number in range(spec.cameras)]
        coarse, fine = (smooth_noise(spec.random("folds", cell), *CANVAS, cell) for cell in (16, 6))
        self.folds = 1 + 0.05 * coarse + 0.035 * fine
        self.shadow = _shadow()

    def person(self, label: int) -> Person:
        """The person with that label."""
        return person(self.spec.random("person", label), self.wardrobe)

    def visit(self, lens: int, *purpose: object) -> Visit:
        """A walk past camera ``lens`` (counted from 0)."""
        random = self.spec.random("visit", lens, *purpose)
        heading = self.cameras[lens].headings[random.choice(3, p=(0.45, 0.35, 0.2))]
        return Visit(
            lens=lens,
            heading=float(heading + random.normal(0, 0.3)),
            phase=float(random.uniform(0, 2 * np.pi)),
            size=float(random.uniform(214, 234)),
            swing=(1.0, 1.0, 0.85, 0.15)[random.integers(4)],
            light=light(random),
        )

    def shot(self, who: Person, label: int, visit: Visit, number: int, *boxes: str) -> list[np.ndarray]:
        """Shot ``number`` of a visit, cut out once for each of ``boxes``.

        Args:
            boxes: ``detected`` for a box as a detector draws it, somewhat off; ``careful`` for one as a human annotator draws it.

        Returns:
            for each box an RGB uint8 image ``(128, 64, 3)``; all of the same moment.
        """
        random = self.spec.random("shot", label, visit.lens, number)
        canvas, careful = self._stage(who, visit, number, random)
        edges = {"careful": careful, "detected": _jittered(careful, random, 0.05, 0.12)}
        return [self._develop(canvas, edges[box], visit, random) for box in boxes]

    def distractor(self, number: int, lens: int) -> np.ndarray:
        """A distractor: an empty piece of the scene, a part of a person, or a passer-by whom no query asks for."""
        random, visit = self.spec.random("distractor", number), self.visit(lens, "distractor", number)
        kind = random.random()
        canvas, box = self._stage(None if kind < 0.4 else person(random, self.wardrobe), visit, 0, random)
        box = _part(box, random) if 0.4 <= kind < 0.65 else box
        return self._develop(canvas, _jittered(box, random, 0.08, 0.2), visit, random)

    def junk(self, who: Person, number: int, lens: int) -> np.ndarray:
        """A junk image: a box that misses most of the person ``who``. It holds a part of the body, or has the body far off its middle."""
        random, visit = self.spec.random("junk", number), self.visit(lens, "junk", number)
        canvas, box = self._stage(who, visit, 0, random)
        if random.random() < 0.6:
            box = _part(box, random)
        else:
            aside = (box[2] - box[0]) * random.uniform(0.42, 0.6) * (1 if random.random() < 0.5 else -1)
            box = box[0] + aside, box[1], box[2] + aside, box[3]
        return self._develop(canvas, box, visit, random)

    def _stage(
        self, who: Person | None, visit: Visit, number: int, random: np.random.Generator
    ) -> tuple[np.ndarray, Box]:
        """The canvas with the scene and whoever is in it, and the careful box of the person (or where one would be)."""
        lens = self.cameras[visit.lens]
        view = View(
            yaw=float(visit.heading + random.normal(0, 0.16)),
            pitch=lens.pitch,
            size=float(visit.size * random.uniform(0.98, 1.02)),
            foot=complex(CANVAS[1] / 2 + random.normal(0, 4), GROUND + random.normal(0, 3)),
            phase=float(visit.phase + 1.9 * number + random.uniform(-0.5, 0.5)),
            swing=visit.swing,
        )
        canvas = self.scenes[visit.lens].window(random)
        crowded = random.random() < lens.crowd
        if crowded and random.random() < 0.4:
            self._passer_by(canvas, view, random, behind=True)
        if who is not None:
            self._put(canvas, who, view, random)
        if crowded:
            self._in_the_way(canvas, view, random)
        return canvas, _upright(body_box(view), 1.05)

    def _put(self, canvas: np.ndarray, who: Person, view: View, random: np.random.Generator) -> None:
        """Draws somebody with the shadow at their feet and the light on their clothes."""
        self._cast_shadow(canvas, view.foot + 10 + 4j)
        left, top, right, bottom = body_box(view)
        columns = slice(max(0, int(left - 30)), min(CANVAS[1], int(right + 30)))
        rows = slice(max(0, int(top - 12)), min(CANVAS[0], int(bottom + 12)))
        canvas[rows, columns, 3] = 0
        draw_person(canvas, who, view)
        part = np.ascontiguousarray(canvas[rows, columns])
        height, width = part.shape[:2]
        across, down = random.integers(0, [CANVAS[1] - width + 1, CANVAS[0] - height + 1])
        # The edges of a body are darker, as they turn away from the light, and cloth has folds; the scene around is left as it is.
        shape = np.ascontiguousarray(part[..., 3])
        folds = self.folds[down : down + height, across : across + width]
        shade = (0.64 + 0.4 / 255 * cv2.blur(shape, (13, 13)).astype(np.float32)) * folds
        shade = np.where(shape > 127, 128 * shade, 128).astype(np.uint8)
        canvas[rows, columns] = cv2.multiply(part, cv2.merge([shade] * 4), scale=1 / 128)

    def _cast_shadow(self, canvas: np.ndarray, foot: complex) -> None:
        height, width = self.shadow.shape[:2]
        top, left = round(foot.imag) - height // 2, round(foot.real) - width // 2
        region = canvas[max(0, top) : top + height, max(0, left) : left + width]
        if region.size:
            shadow = self.shadow[max(0, -top) :, max(0, -left) :][: region.shape[0], : region.shape[1]]
            region[...] = region * shadow

    def _passer_by(self, canvas: np.ndarray, view: View, random: np.random.Generator, *, behind: bool) -> None:
        other = person(random, self.wardrobe)
        aside = random.uniform(46, 92) * (1 if random.random() < 0.5 else -1)
        scale, lower = (random.uniform(0.72, 0.92), -18) if behind else (random.uniform(1.0, 1.12), 12)
        turned = 0.0 if random.random() < 0.5 else np.pi
        there = View(
            yaw=float(view.yaw + turned + random.normal(0, 0.3)),
            pitch=view.pitch,
            size=float(view.size * scale),
            foot=view.foot + complex(aside, lower),
            phase=float(random.uniform(0, 6)),
            swing=1.0,
        )
        self._put(canvas, other, there, random)

    def _in_the_way(self, canvas: np.ndarray, view: View, random: np.random.Generator) -> None:
        kind, x, ground = random.random(), view.foot.real + random.uniform(-48, 48), view.foot.imag
        if kind < 0.3:
            self._passer_by(canvas, view, random, behind=False)
        elif kind < 0.55:
            pole(canvas, x, random)
        elif kind < 0.75:
            bin_(canvas, x, ground + 14, random, size=random.uniform(1.4, 1.9))
        else:
            low_wall(canvas, ground - random.uniform(20, 90), random)

    def _develop(self, canvas: np.ndarray, box: Box, visit: Visit, random: np.random.Generator) -> np.ndarray:
        return develop(self.cameras[visit.lens], visit.light, _cut(canvas, box), SIZE, random)


def _shadow() -> np.ndarray:
    """Factors float32 ``(h, w, 1)`` of the soft shadow on the ground."""
    dark = np.zeros((40, 100, 4), dtype=np.uint8)
    ellipse(dark, 50 + 20j, 34, 9, (0, 0, 0))
    return 1 - 0.34 / 255 * cv2.blur(dark[..., 3], (15, 7)).astype(np.float32)[..., None]


def _upright(box: Box, scale: float) -> Box:
    """A box with the same middle and the aspect ratio of the final images, ``scale`` times as high."""
    left, top, right, bottom = box
    x, y, half = (left + right) / 2, (top + bottom) / 2, scale * (bottom - top) / 2
    across = half * SIZE[1] / SIZE[0]
    return x - across, y - half, x + across, y + half


def _jittered(box: Box, random: np.random.Generator, shift: float, stretch: float) -> Box:
    """The box moved by about ``shift`` of its size and scaled by up to ``stretch``, as detectors do."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    x = (left + right) / 2 + random.normal(0, shift) * width
    y = (top + bottom) / 2 + random.normal(0, 0.5 * shift) * height
    half = 0.5 * (1 + random.uniform(-0.4 * stretch, stretch))
    across = half * random.uniform(0.94, 1.06)
    return x - across * width, y - half * height, x + across * width, y + half * height


def _part(box: Box, random: np.random.Generator) -> Box:
    """About a third of the box: the head, the trunk or the legs."""
    left, top, right, bottom = box
    height = bottom - top
    start, share = ((-0.12, 0.42), (0.2, 0.4), (0.5, 0.45), (0.62, 0.5))[random.integers(4)]
    top, bottom = top + start * height, top + (start + share) * height
    x = (left + right) / 2 + random.uniform(-0.2, 0.2) * (right - left)
    return x - (bottom - top) / 4, top, x + (bottom - top) / 4, bottom


def _cut(canvas: np.ndarray, box: Box) -> np.ndarray:
    """The pixels of the box, which is first moved back inside where it leaves the canvas."""
    height, width = canvas.shape[:2]
    left, top, right, bottom = (round(edge) for edge in box)
    wide, high = min(max(4, right - left), width), min(max(8, bottom - top), height)
    left, top = min(max(left, 0), width - wide), min(max(top, 0), height - high)
    return canvas[top : top + high, left : left + wide]
