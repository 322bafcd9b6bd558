"""Draws a person on a canvas."""

from __future__ import annotations

import numpy as np

from .draw import Colour, Paint, darker, ellipse, fill, limb, line
from .head import draw_hair_behind, draw_head
from .luggage import Luggage
from .people import Person
from .pose import HIP, NECK, View, skeleton

# Half widths of the trunk to the side and forward at some heights, in units of body height.
_HEIGHTS = np.array([0.30, 0.46, 0.53, 0.62, 0.74, 0.785, 0.812, 0.832, 0.852])
_ACROSS = np.array([0.092, 0.089, 0.085, 0.075, 0.090, 0.097, 0.090, 0.066, 0.034])
_DEEP = np.array([0.078, 0.074, 0.071, 0.066, 0.074, 0.068, 0.060, 0.048, 0.032])


class Figure:
    """One person in one pose; ``draw`` paints the parts from the farthest to the nearest."""

    def __init__(self, canvas: np.ndarray, person: Person, view: View) -> None:
        self.canvas, self.person, self.view = canvas, person, view
        self.joints = skeleton(person, view)
        self.anchor = view(0, 0.5, 0)
        across = _ACROSS * np.interp(_HEIGHTS, [0.55, 0.75], [1.0, person.shoulders])
        deep = _DEEP * np.interp(_HEIGHTS, [0.5, 0.6, 0.74], [1.0, person.belly, 1.0])
        self.half_widths = np.hypot(across * view.front, deep * view.side) * (view.size * person.build)

    def draw(self) -> None:
        view = self.view
        luggage = Luggage(self.canvas, self.person, view)
        near_arm = int(np.argmax([view.nearness(elbow[0], elbow[2]) for _, elbow, _ in self.joints.arms]))
        near_leg = int(np.argmax([view.nearness(knee[0], knee[2]) for _, knee, _ in self.joints.legs]))
        sideways = abs(view.side) > 0.35
        luggage.draw_behind()
        if sideways:
            self._arm(1 - near_arm)
        self._leg(1 - near_leg, far=True)
        self._leg(near_leg, far=False)
        self._hips()
        draw_hair_behind(self.canvas, self.person, view)
        self._trunk()
        luggage.draw_before()
        if not sideways:
            self._arm(1 - near_arm)
        self._arm(near_arm)
        draw_head(self.canvas, self.person, view)
        luggage.draw_in_hand([view(*wrist) for _, _, wrist in self.joints.arms])

    def _leg(self, side: int, *, far: bool) -> None:
        person, view, bottom = self.person, self.view, self.person.outfit.bottom
        hip, knee, ankle = (view(*joint) for joint in self.joints.legs[side])
        size, shade = view.size * (0.3 + 0.7 * person.build), 0.8 if far else 1.0
        self._shoe(side, ankle, shade)
        skin = darker(person.skin, 0.92 * shade)
        if bottom.length <= 1:
            fill(self.canvas, limb(knee, ankle, 0.032 * size, 0.02 * size), skin)
        if bottom.length == 0:
            fill(self.canvas, limb(hip, knee, 0.05 * size, 0.034 * size), skin)
            return
        wide = size * {"slim": 0.86, "shorts": 1.16}.get(bottom.kind, 1.06)
        paint = bottom.paint if isinstance(bottom.paint, np.ndarray) else darker(bottom.paint, shade)
        if bottom.length > 1:
            end = knee + (ankle - knee) * (bottom.length - 1)
            fill(self.canvas, limb(knee, end, 0.038 * wide, 0.029 * wide), paint, self.anchor)
        end = hip + (knee - hip) * min(1.0, bottom.length)
        fill(self.canvas, limb(hip, end, 0.053 * wide, 0.039 * wide), paint, self.anchor)
        seam, thickness = (bottom.stripe, 3) if bottom.stripe else (darker(bottom.colour, 0.72 * shade), 1)
        shift = 0.026 * size * (1 if side else -1) * view.front
        path = [hip + shift, end + 0.8 * shift, *([ankle + 0.6 * shift] if bottom.length > 1 else [])]
        line(self.canvas, path, seam, thickness)

    def _shoe(self, side: int, ankle: complex, shade: float) -> None:
        size, colour = self.view.size, darker(self.person.shoes, shade)
        # The foot points forward: long from the side, short from the front, hidden by the heel from behind.
        left, up, forward = self.joints.legs[side][2]
        heel, toe = ankle + 0.016j * size, self.view(left, up - 0.022, forward + 0.08)
        fill(self.canvas, limb(heel, toe, 0.023 * size, 0.019 * size), colour)
        line(self.canvas, [heel + 0.018j * size, toe + 0.018j * size], darker(colour, 0.6))

    def _outline(self, top: float, bottom: float, widen: float = 1.0) -> np.ndarray:
        """Outline of the trunk between two heights, the left lower corner first and the right one last."""
        heights = np.concatenate([[bottom], _HEIGHTS[(_HEIGHTS > bottom) & (_HEIGHTS < top)], [top]])
        half = np.interp(heights, _HEIGHTS, self.half_widths) * widen
        middle = self.view.foot - 1j * self.view.size * np.cos(self.view.pitch) * heights
        return np.concatenate([middle - half, (middle + half)[::-1]])

    def _hips(self) -> None:
        bottom, view = self.person.outfit.bottom, self.view
        if bottom.kind not in ("skirt", "long skirt"):
            fill(self.canvas, self._outline(HIP + 0.03, 0.475, 0.98), bottom.paint, self.anchor)
            return
        hem = 0.31 if bottom.kind == "skirt" else 0.12
        lower = view(0, hem, 0) + 0.012 * view.size * np.sin(view.phase)
        flare = view.half_width(0.108, 0.096) * self.person.build * (1 + 0.3 * (0.31 - hem))
        outline = self._outline(HIP + 0.05, 0.46)
        outline[0], outline[-1] = lower - flare, lower + flare
        fill(self.canvas, outline, bottom.paint, self.anchor)
        for share in (-0.4, 0.1, 0.5):
            line(
                self.canvas,
                [view(0, 0.44, 0) + 0.7 * share * flare, lower + share * flare - 2j],
                darker(bottom.colour, 0.78),
            )

    def _trunk(self) -> None:
        top, size, view = self.person.outfit.top, self.view.size, self.view
        neck, dark = view(0, NECK, 0), darker(top.colour, 0.72)
        fill(
            self.canvas,
            limb(neck + 0.01j * size, neck - 0.03j * size, 0.03 * size, 0.028 * size),
            darker(self.person.skin, 0.84),
        )
        fill(self.canvas, self._outline(0.85, top.hem, top.looseness), top.paint, self.anchor)
        if top.blocks == "yoke":
            fill(self.canvas, self._outline(0.85, 0.725, top.looseness), top.second)
        elif top.blocks == "band":
            fill(self.canvas, self._outline(0.73, 0.65, top.looseness), top.second)
        line(self.canvas, self._outline(top.hem + 0.008, top.hem, top.looseness)[[0, -1]] - 2j, dark, 2)
        if view.front > 0:
            self._front(dark)
        self._print(top.print_front if view.front > 0 else top.print_back)
        if top.kind == "hoodie":
            ellipse(self.canvas, view(0, 0.835, -0.04), 0.055 * size, 0.028 * size, darker(top.colour, 0.85))
        elif top.kind in ("shirt", "jacket", "coat"):
            ellipse(self.canvas, view(0, 0.846, 0), 0.04 * size, 0.014 * size, darker(top.colour, 0.8))

    def _front(self, dark: Colour) -> None:
        """What only the front has: an opening, a zip or buttons, or the neckline."""
        top, size, front = self.person.outfit.top, self.view.size, self.view.front
        deep = 0.07 * self.person.build
        upper, lower = self.view(0, 0.835, 0.5 * deep), self.view(0, top.hem, deep)
        if top.inner is not None:
            half = 0.034 * size * front
            corners = [upper - 0.7 * half, upper + 0.7 * half, lower + half, lower - half]
            fill(self.canvas, corners, top.inner)
            line(self.canvas, [corners[0], corners[3]], dark, 2)
            line(self.canvas, [corners[1], corners[2]], dark, 2)
        elif top.kind in ("shirt", "jacket", "coat", "hoodie"):
            line(self.canvas, [upper, lower], dark, 2)
        else:
            ellipse(
                self.canvas, upper - 0.004j * size, 0.034 * size * front, 0.018 * size, darker(self.person.skin, 0.9)
            )

    def _print(self, kind: str | None) -> None:
        if kind is None:
            return
        colour, size = self.person.outfit.top.second, self.view.size
        middle = self.view(0, 0.71, 0.07 if self.view.front > 0 else -0.07)
        wide, high = max(0.042 * size * abs(self.view.front), 1.0), 0.034 * size
        if kind == "disc":
            ellipse(self.canvas, middle, 0.85 * wide, 1.1 * high, colour)
        elif kind == "box":
            fill(
                self.canvas,
                [middle + x * wide + y * high * 1j for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))],
                colour,
            )
        else:
            for row, length in ((-0.75, 0.5), (0.0, 0.9), (0.75, 0.7)):
                line(
                    self.canvas, [middle - wide + row * high * 1j, middle + length * wide + row * high * 1j], colour, 3
                )

    def _arm(self, side: int) -> None:
        person, top, view = self.person, self.person.outfit.top, self.view
        left, _, forward = self.joints.arms[side][1]
        shoulder, elbow, wrist = (view(*joint) for joint in self.joints.arms[side])
        size = view.size * (0.5 + 0.5 * person.build)
        shade = 0.84 if view.nearness(left, forward) < -0.02 else 0.95
        skin = darker(person.skin, shade)
        if top.sleeve_length <= 1:
            fill(self.canvas, limb(shoulder, elbow, 0.028 * size, 0.022 * size), skin)
            fill(self.canvas, limb(elbow, wrist, 0.022 * size, 0.016 * size), skin)
        ellipse(self.canvas, wrist + 0.14 * (wrist - elbow), 0.018 * size, 0.023 * size, skin)
        if top.sleeve_length == 0:
            return
        paint: Paint = top.sleeve if isinstance(top.sleeve, np.ndarray) else darker(top.sleeve, shade)
        wide, dark = 0.0305 * size * top.looseness, darker(top.colour, 0.68)
        if top.sleeve_length > 1:
            lower = limb(elbow, elbow + (wrist - elbow) * (top.sleeve_length - 1), 0.85 * wide, 0.68 * wide)
            line(self.canvas, lower, dark, 2)
            fill(self.canvas, lower, paint, self.anchor)
        end = shoulder + (elbow - shoulder) * min(1.0, top.sleeve_length)
        upper = limb(shoulder, end, wide, 0.9 * wide)
        # A thin dark edge below the shoulder sets the arm off from a trunk of the same cloth.
        line(self.canvas, upper[3:], dark, 2)
        fill(self.canvas, upper, paint, self.anchor)
        if top.blocks == "yoke":
            fill(
                self.canvas,
                limb(shoulder, shoulder + 0.4 * (end - shoulder), wide, 0.9 * wide),
                darker(top.second, shade),
            )


def draw_person(canvas: np.ndarray, person: Person, view: View) -> None:
    """Paints ``person`` as ``view`` sees them on ``canvas`` (see ``draw``)."""
    Figure(canvas, person, view).draw()


def body_box(view: View) -> tuple[float, float, float, float]:
    """Where on the canvas the body is: left, top, right, bottom in pixels."""
    x, y = view.foot.real, view.foot.imag
    top = view(0, 1.0, 0).imag
    return x - 0.16 * view.size, top, x + 0.16 * view.size, y + 0.03 * view.size
