"""How far a stage is, and the figures of its epoch so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .. import ranks


@dataclass
class Progress:
    """The next epoch and step of a stage, and sums over the images of the epoch so far, those of all processes.

    ``sums`` is float64 ``(4,)``: loss, cross-entropy, imitation, right answers, and where there is one, as a fifth, the metric term; ``images`` counts
    them; ``seconds`` is time spent, ``waited`` what of it was spent on waiting for images.
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
        """Adds a step: this process's sums, and the images of all; all processes call it together.

        They are added up at each step, since the first process alone decides when to save: what it saves holds for any number of them.
        """
        self.sums += ranks.added_up(sums)
        self.images += images

    def means(self) -> list[float]:
        """Of each of the sums, over the images."""
        return (self.sums / max(self.images, 1)).tolist()
