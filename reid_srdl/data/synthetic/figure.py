"""Draws somebody on a layer."""

from __future__ import annotations

import numpy as np

from .draw import Colour, Paint, darker, ellipse, fill, limb, line
from .head import draw_head
from .luggage import Luggage
from .people import Person
from .pose import HIP, NECK, Skeleton, View, skeleton

# Half widths to the side and forward at heights of the trunk, in units of body height.
_HEIGHTS = np.array([0.30, 0.46, 0.53, 0.62, 0.74, 0.80, 0.83, 0.855])
_ACROSS = np.array([0.098, 0.094, 0.090, 0.082, 0.104, 0.112, 0.080, 0.034])
_DEEP = np.array([0.080, 0.076, 0.073, 0.068, 0.076, 0.066, 0.050, 0.034])


class Figure:
    """One person in one pose; ``draw`` paints the parts from the farthest to the nearest."""

    def __init__(self, layer: np.ndarray, person: Person, view: View) -> None:
        self.layer, self.person, self.view = layer, person, view
        self.joints: Skeleton = skeleton(person, view)
        self.faces_camera = np.cos(view.yaw) > 0
        self.anchor = tuple(self.at(0.5))

    def at(self, height: float, left: float = 0.0, forward: float = 0.0) -> np.ndarray:
        """Canvas point of a point in space."""
        return self.view.project(np.array([left, height, forward]))

    def draw(self) -> None:
        luggage = Luggage(self.layer, self.person, self.view)
        near_first = np.argsort([-self.view.nearness(self.joints.arms[side, 1]) for side in (0, 1)])
        near_leg_last = np.argsort([self.view.nearness(self.joints.legs[side, 1]) for side in (0, 1)])
        sideways = abs(np.sin(self.view.yaw)) > 0.35
        if sideways or not self.faces_camera:
            luggage.draw_behind()
        if sideways:
            self._arm(near_first[1])
        for side in near_leg_last:
            self._leg(side, far=side != near_leg_last[1])
        self._skirt()
        self._trunk()
        luggage.draw_before()
        if not sideways:
            self._arm(near_first[1])
        self._arm(near_first[0])
        draw_head(self.layer, self.person, self.view)
        luggage.draw_in_hand(self.view.project(self.joints.arms[:, 2]))

    def _leg(self, side: int, *, far: bool) -> None:
        person, view, bottom = self.person, self.view, self.person.outfit.bottom
        hip, knee, ankle = view.project(self.joints.legs[side])
        size, shade = view.size * person.build, 0.8 if far else 1.0
        loose = {"slim": 0.86, "trousers": 1.08, "shorts": 1.14}.get(bottom.kind, 0.85)
        self._shoe(side, ankle, shade)
        skin = darker(person.skin, 0.92 * shade)
        fill(self.layer, limb(knee, ankle, 0.031 * size, 0.02 * size), skin)
        if bottom.length == 0:
            fill(self.layer, limb(hip, knee, 0.05 * size, 0.034 * size), skin)
            return
        paint = bottom.paint if not far or isinstance(bottom.paint, np.ndarray) else darker(bottom.paint, shade)
        if bottom.length > 1:
            end = knee + (ankle - knee) * (bottom.length - 1)
            fill(self.layer, limb(knee, end, 0.037 * size * loose, 0.029 * size * loose), paint, self.anchor)
        end = hip + (knee - hip) * min(1.0, bottom.length)
        fill(self.layer, limb(hip, end, 0.056 * size * loose, 0.038 * size * loose), paint, self.anchor)
        seam = bottom.stripe or darker(bottom.colour, 0.72)
        shift = np.array([0.022 * size * (1 if side else -1) * np.cos(view.yaw), 0])
        line(self.layer, np.stack([hip + shift, end + 0.6 * shift]), seam, 3 if bottom.stripe else 1)
        if bottom.stripe and bottom.length > 1:
            line(self.layer, np.stack([knee + 0.6 * shift, ankle + 0.5 * shift]), seam, 3)

    def _shoe(self, side: int, ankle: np.ndarray, shade: float) -> None:
        size, colour = self.view.size, darker(self.person.shoes, shade)
        # The foot points forward: long from the side, short from the front, hidden by the heel from behind.
        toe = self.view.project(self.joints.legs[side, 2] + np.array([0.0, -0.022, 0.085]))
        heel = ankle + np.array([0, 0.016 * size])
        fill(self.layer, limb(heel, toe, 0.023 * size, 0.019 * size), colour)
        line(self.layer, np.stack([heel, toe]) + np.array([0, 0.018 * size]), darker(colour, 0.6), 1)

    def _outline(self, top: float, bottom: float, widen: float = 1.0) -> np.ndarray:
        """Outline of the trunk between two heights."""
        inside = _HEIGHTS[(_HEIGHTS > bottom) & (_HEIGHTS < top)]
        heights = np.concatenate([[bottom], inside, [top]])
        across = np.interp(heights, _HEIGHTS, _ACROSS) * self.person.build * widen
        across *= np.interp(heights, [0.5, 0.75], [1.0, self.person.shoulders])
        deep = np.interp(heights, _HEIGHTS, _DEEP) * self.person.build * widen
        deep *= np.interp(heights, [0.46, 0.6, 0.74], [1.0, self.person.belly, 1.0])
        half = np.array([self.view.half_width(a, d) for a, d in zip(across, deep, strict=True)])
        middle = np.stack([self.at(height) for height in heights])
        offset = np.stack([half, np.zeros_like(half)], axis=1)
        return np.concatenate([middle - offset, (middle + offset)[::-1]])

    def _skirt(self) -> None:
        bottom = self.person.outfit.bottom
        if bottom.kind not in ("skirt", "long skirt"):
            fill(self.layer, self._outline(HIP + 0.03, 0.475, 0.98), bottom.paint, self.anchor)
            return
        hem = 0.31 if bottom.kind == "skirt" else 0.12
        outline = self._outline(HIP + 0.05, 0.46)
        lower = self.at(hem)
        flare = self.view.half_width(0.112, 0.1) * self.person.build * (1 + 0.3 * (0.31 - hem))
        sway = 0.012 * self.view.size * np.sin(self.view.phase)
        outline[0] = lower + np.array([-flare + sway, 0])
        outline[-1] = lower + np.array([flare + sway, 0])
        fill(self.layer, outline, bottom.paint, self.anchor)
        dark = darker(bottom.colour, 0.75)
        for share in (-0.4, 0.1, 0.5):
            line(self.layer, np.stack([self.at(0.44) + [share * flare * 0.7, 0], lower + [share * flare + sway, -2]]), dark)

    def _trunk(self) -> None:
        top, size = self.person.outfit.top, self.view.size
        neck = self.at(NECK)
        fill(self.layer, limb(neck + [0, 0.02 * size], neck - [0, 0.03 * size], 0.034 * size, 0.03 * size), darker(self.person.skin, 0.85))
        fill(self.layer, self._outline(0.852, top.hem, top.looseness), top.paint, self.anchor)
        if top.blocks == "yoke":
            fill(self.layer, self._outline(0.852, 0.725, top.looseness), top.second)
        elif top.blocks == "band":
            fill(self.layer, self._outline(0.73, 0.65, top.looseness), top.second)
        dark = darker(top.colour, 0.7)
        line(self.layer, self._outline(top.hem + 0.008, top.hem, top.looseness)[[0, -1]] - [0, 2], dark, 2)
        if self.faces_camera:
            self._front(dark)
        self._print(top.print_front if self.faces_camera else top.print_back)
        if top.kind == "hoodie":
            ellipse(self.layer, self.at(0.835, forward=-0.045), (0.062 * size, 0.03 * size), darker(top.colour, 0.85))
        elif top.kind in ("shirt", "jacket", "coat"):
            ellipse(self.layer, self.at(0.85), (0.045 * size, 0.014 * size), darker(top.colour, 0.8))

    def _front(self, dark: Colour) -> None:
        """What only the front has: an opening, a zip or buttons, the neckline."""
        top, size, cosine = self.person.outfit.top, self.view.size, np.cos(self.view.yaw)
        deep = 0.07 * self.person.build
        upper, lower = self.at(0.84, forward=0.5 * deep), self.at(top.hem, forward=deep)
        if top.inner is not None:
            half = 0.036 * size * cosine
            strip = np.stack([upper - [0.7 * half, 0], upper + [0.7 * half, 0], lower + [half, 0], lower - [half, 0]])
            fill(self.layer, strip, top.inner)
            line(self.layer, strip[[0, 3]], dark, 2)
            line(self.layer, strip[[1, 2]], dark, 2)
        elif top.kind in ("shirt", "jacket", "coat", "hoodie"):
            line(self.layer, np.stack([upper, lower]), dark, 2)
        else:
            ellipse(self.layer, upper - [0, 0.004 * size], (0.036 * size * cosine, 0.02 * size), darker(self.person.skin, 0.9))

    def _print(self, kind: str | None) -> None:
        if kind is None:
            return
        top, cosine = self.person.outfit.top, abs(np.cos(self.view.yaw))
        deep = 0.07 if self.faces_camera else -0.07
        middle, size = self.at(0.71, forward=deep), self.view.size
        wide = max(0.045 * size * cosine, 1.0)
        if kind == "disc":
            ellipse(self.layer, middle, (0.85 * wide, 0.04 * size), top.second)
        elif kind == "box":
            corners = np.array([[-wide, -0.036 * size], [wide, -0.036 * size], [wide, 0.036 * size], [-wide, 0.036 * size]])
            fill(self.layer, middle + corners, top.second)
        else:
            for row in (-0.026, 0.0, 0.026):
                line(self.layer, middle + np.array([[-wide, row * size], [wide * (0.7 + 8 * row), row * size]]), top.second, 3)

    def _arm(self, side: int) -> None:
        person, top = self.person, self.person.outfit.top
        shoulder, elbow, wrist = self.view.project(self.joints.arms[side])
        size = self.view.size * (0.55 + 0.45 * person.build)
        shade = 0.84 if self.view.nearness(self.joints.arms[side, 1]) < -0.02 else 0.95
        skin = darker(person.skin, shade)
        fill(self.layer, limb(shoulder, elbow, 0.03 * size, 0.024 * size), skin)
        fill(self.layer, limb(elbow, wrist + 0.1 * (wrist - elbow), 0.024 * size, 0.017 * size), skin)
        hand = wrist + 0.16 * (wrist - elbow)
        ellipse(self.layer, hand, (0.019 * size, 0.024 * size), skin)
        if top.sleeve_length == 0:
            return
        paint: Paint = top.sleeve if isinstance(top.sleeve, np.ndarray) else darker(top.sleeve, shade)
        wide = 0.036 * size * top.looseness
        dark = darker(top.colour, 0.6)
        end = shoulder + (elbow - shoulder) * min(1.0, top.sleeve_length)
        upper = limb(shoulder, end, wide, 0.9 * wide)
        # A thin dark edge parts the arm from a trunk of the same cloth.
        line(self.layer, np.concatenate([upper, upper[:1]]), dark, 2)
        if top.sleeve_length > 1:
            end = elbow + (wrist - elbow) * (top.sleeve_length - 1)
            lower = limb(elbow, end, 0.85 * wide, 0.68 * wide)
            line(self.layer, np.concatenate([lower, lower[:1]]), dark, 2)
            fill(self.layer, lower, paint, self.anchor)
        fill(self.layer, upper, paint, self.anchor)
        if top.blocks == "yoke":
            fill(self.layer, limb(shoulder, shoulder + 0.45 * (end - shoulder), wide, 0.9 * wide), darker(top.second, shade))


def draw_person(layer: np.ndarray, person: Person, view: View) -> None:
    """Paints ``person`` as ``view`` sees them on ``layer`` (see ``draw``)."""
    Figure(layer, person, view).draw()


def body_box(view: View) -> tuple[float, float, float, float]:
    """Where on the canvas the body is: left, top, right, bottom in pixels."""
    x, y = view.foot
    top = y - 1.0 * view.size * np.cos(view.pitch)
    half = 0.17 * view.size
    return x - half, top, x + half, y + 0.03 * view.size
