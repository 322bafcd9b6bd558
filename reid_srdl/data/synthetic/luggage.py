"""Backpacks and bags, in front of the body or behind it, depending on the view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .draw import darker, ellipse, fill, limb, line, points
from .people import Person
from .pose import View


class Luggage:
    """What one person carries, in one view."""

    def __init__(self, canvas: np.ndarray, person: Person, view: View) -> None:
        self.canvas, self.person, self.view = canvas, person, view
        self.colour, self.dark = person.bag_colour, darker(person.bag_colour, 0.65)

    def draw_behind(self) -> None:
        """Paints what is on the far side of the body: a backpack that juts out behind somebody seen from the side."""
        if self.person.bag == "backpack" and self.view.front > -0.3:
            self._pack()

    def draw_before(self) -> None:
        """Paints what is on the near side of the body."""
        person, view, hand = self.person, self.view, self.person.hand
        if person.bag == "backpack":
            if view.front <= -0.3:
                self._pack()
            else:
                for side in (-1, 1):
                    strap = [
                        view(side * 0.056, 0.836, 0.02),
                        view(side * 0.062, 0.73, 0.075),
                        view(side * 0.08, 0.65, 0.03),
                    ]
                    line(self.canvas, strap, self.dark, 4)
        elif person.bag == "cross":
            front = 0.07 if view.front > 0 else -0.07
            strap = [view(-hand * 0.066, 0.83, 0), view(0, 0.68, front), view(hand * 0.09, 0.54, 0.5 * front)]
            line(self.canvas, strap, self.dark, 4)
            self._hip_bag(hand * 0.105, 0.50, 0.062)
        elif person.bag == "shoulder":
            line(self.canvas, [view(hand * 0.088, 0.83, 0), view(hand * 0.12, 0.64, 0)], self.dark, 4)
            self._hip_bag(hand * 0.13, 0.58, 0.068)

    def draw_in_hand(self, wrists: Sequence[complex]) -> None:
        """Paints a bag that hangs from the right or the left of the two wrists."""
        if self.person.bag != "hand":
            return
        size, wrist = self.view.size * self.person.bag_size, wrists[0 if self.person.hand < 0 else 1]
        top, half = wrist + 0.07j * size, 0.045 * size * (0.6 + 0.4 * abs(self.view.side))
        for side in (-1, 1):
            line(self.canvas, [wrist + 3 * side + 2j, top + 0.7 * side * half], self.dark, 2)
        fill(
            self.canvas,
            top + points((-half, 0), (half, 0), (1.1 * half, 0.1 * size), (-1.1 * half, 0.1 * size)),
            self.colour,
        )

    def _pack(self) -> None:
        view, size = self.view, self.person.bag_size
        wide = view.half_width(0.074 * size, 0.046 * size)
        behind = -0.065 * self.person.build - 0.042 * size
        upper, lower = view(0, 0.79, behind), view(0, 0.79 - 0.19 * size, behind)
        fill(self.canvas, limb(upper + 0.3j * wide, lower, 0.9 * wide, wide), self.colour)
        if view.front < -0.3:
            pocket = 0.4 * upper + 0.6 * lower
            fill(
                self.canvas,
                limb(pocket, pocket + 0.06j * view.size, 0.66 * wide, 0.66 * wide),
                darker(self.colour, 0.82),
            )
            line(self.canvas, [pocket - 0.6 * wide - 4j, pocket + 0.6 * wide - 4j], self.dark, 2)
            line(self.canvas, [upper, upper - 0.025j * view.size], self.dark, 4)

    def _hip_bag(self, left: float, up: float, size: float) -> None:
        # On the far side the body hides it.
        if self.view.nearness(left, 0.0) < -0.075:
            return
        middle, scale = self.view(left, up, 0), self.person.bag_size
        across, high = scale * self.view.half_width(0.4 * size, size), 0.8 * scale * size * self.view.size
        fill(self.canvas, limb(middle - 0.3j * high, middle + 0.3j * high, across, 1.05 * across), self.colour)
        ellipse(self.canvas, middle, 0.25 * across, 2, self.dark)
