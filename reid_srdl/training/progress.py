"""How far a stage is, and the figures of its epoch so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import ranks


@dataclass
class Progress:
    """The epoch and step of a stage that come next, and sums over the images of that epoch so far, of all processes.

    ``sums`` is float64 ``(4,)``: loss, cross-entropy, imitation, right answers; with a metric loss ``(5,)``, that term last. ``images`` is the number of
    images so far; ``seconds`` is the time spent on them, ``waited`` the part of it that was spent waiting for images.
    """

    epoch: int
    step: int
    sums: torch.Tensor
    images: int
    seconds: float
    waited: float

    @classmethod
    def start(cls, sums: int, epoch: int = 0) -> Progress:
        return cls(epoch, 0, torch.zeros(sums, dtype=torch.float64), 0, 0.0, 0.0)

    def add(self, sums: torch.Tensor, images: int) -> None:
        """Adds a step: this process's sums, and the number of images of all processes. All processes must call it.

        Sums are added up over the processes at each step, since the first one alone decides when to save, and saves them for all.
        """
        self.sums += ranks.added_up(sums)
        self.images += images

    def means(self) -> list[float]:
        """The mean of each of the sums over the images."""
        return (self.sums / max(self.images, 1)).tolist()
