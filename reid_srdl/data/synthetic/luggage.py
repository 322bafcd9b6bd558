"""Backpacks and bags, before or behind the body as the view has it."""

from __future__ import annotations

import numpy as np

from .draw import darker, ellipse, fill, limb, line
from .people import Person
from .pose import View


class Luggage:
    """What one person carries, in one view."""

    def __init__(self, layer: np.ndarray, person: Person, view: View) -> None:
        self.layer, self.person, self.view = layer, person, view
        self.colour, self.dark = person.bag_colour, darker(person.bag_colour, 0.65)

    def _at(self, left: float, up: float, forward: float) -> np.ndarray:
        return self.view.project(np.array([left, up, forward]))

    def draw_behind(self) -> None:
        """What is beyond the body: a backpack seen from the side or a little from the front."""
        if self.person.bag == "backpack" and np.cos(self.view.yaw) > -0.3:
            self._pack()

    def draw_before(self) -> None:
        """What is on this side of the body."""
        person, cosine = self.person, np.cos(self.view.yaw)
        if person.bag == "backpack":
            if cosine <= -0.3:
                self._pack()
            if cosine > -0.5:
                for side in (-1, 1):
                    strap = [self._at(side * 0.062, 0.84, 0.02), self._at(side * 0.07, 0.72, 0.075), self._at(side * 0.085, 0.64, 0.03)]
                    line(self.layer, np.stack(strap), self.dark, 4)
        elif person.bag == "cross":
            front = 0.07 if cosine > 0 else -0.07
            strap = [self._at(-person.hand * 0.075, 0.835, 0), self._at(0, 0.68, front), self._at(person.hand * 0.095, 0.54, 0.5 * front)]
            line(self.layer, np.stack(strap), self.dark, 4)
            self._hip_bag(person.hand * 0.115, 0.50, 0.062)
        elif person.bag == "shoulder":
            shoulder, bag = self._at(person.hand * 0.1, 0.835, 0), self._at(person.hand * 0.13, 0.64, 0)
            line(self.layer, np.stack([shoulder, bag]), self.dark, 4)
            self._hip_bag(person.hand * 0.14, 0.58, 0.07)

    def draw_in_hand(self, wrists: np.ndarray) -> None:
        """A bag that hangs from the right or the left of the wrists ``(2, 2)``."""
        if self.person.bag != "hand":
            return
        size, wrist = self.view.size * self.person.bag_size, wrists[0 if self.person.hand < 0 else 1]
        top = wrist + [0, 0.07 * size]
        line(self.layer, np.stack([wrist + [-3, 2], top + [-0.03 * size, 0]]), self.dark, 2)
        line(self.layer, np.stack([wrist + [3, 2], top + [0.03 * size, 0]]), self.dark, 2)
        half = 0.045 * size * (0.6 + 0.4 * abs(np.sin(self.view.yaw)))
        corners = np.array([[-half, 0], [half, 0], [1.1 * half, 0.1 * size], [-1.1 * half, 0.1 * size]])
        fill(self.layer, top + corners, self.colour)

    def _pack(self) -> None:
        size = self.person.bag_size
        wide = self.view.half_width(0.082 * size, 0.05 * size)
        behind = -0.065 * self.person.build - 0.045 * size
        upper, lower = self._at(0, 0.795, behind), self._at(0, 0.795 - 0.2 * size, behind)
        fill(self.layer, limb(upper + [0, 0.3 * wide], lower, 0.9 * wide, wide), self.colour)
        pocket = 0.35 * upper + 0.65 * lower
        if np.cos(self.view.yaw) < -0.3:
            fill(self.layer, limb(pocket, pocket + [0, 0.06 * self.view.size], 0.66 * wide, 0.66 * wide), darker(self.colour, 0.82))
            line(self.layer, np.stack([pocket - [0.6 * wide, 4], pocket + [0.6 * wide, -4]]), self.dark, 2)
            line(self.layer, np.stack([upper, upper - [0, 0.025 * self.view.size]]), self.dark, 4)

    def _hip_bag(self, left: float, up: float, size: float) -> None:
        middle = self._at(left, up, 0)
        # On the far side of the body it is hidden, but for its edge.
        if self.view.nearness(np.array([left, up, 0.0])) < -0.08:
            return
        across, high = self.view.half_width(0.35 * size, size) * self.person.bag_size, 0.8 * size * self.view.size * self.person.bag_size
        fill(self.layer, limb(middle - [0, 0.3 * high], middle + [0, 0.3 * high], across, 1.05 * across), self.colour)
        ellipse(self.layer, middle, (0.25 * across, 2), self.dark)
