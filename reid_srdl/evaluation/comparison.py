"""When two images are called the same identity: by their distance, and what a calibration makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calibration import Calibration


@dataclass(frozen=True, eq=False)
class Comparison:
    """How pairs are compared; ``by`` makes one.

    Args:
        calibration: of the network that embeds them, with mirror images where it says so.
        probability: two images are called the same from this one on.
        prior: share of genuine pairs among those that are asked about.
        limit: the largest distance of that probability; infinite where every distance has it, minus infinity where none has.
    """

    calibration: Calibration
    probability: float
    prior: float
    limit: float

    @staticmethod
    def by(calibration: Calibration, probability: float = 0.5, prior: float | None = None) -> Comparison:
        """Makes one, at the calibration's prior unless another is given. Raises ``UserError`` for a probability or a prior that is not between 0 and 1."""
        prior = calibration.prior if prior is None else prior
        return Comparison(calibration, probability, prior, calibration.threshold(probability, prior))

    @property
    def most(self) -> float:
        """The highest probability that any distance has."""
        return self.calibration.most(self.prior)

    def facts(self) -> dict[str, Any]:
        """``threshold``, ``most``, ``metric`` and ``prior``, as values for JSON; the threshold is None where ``limit`` is infinite."""
        return {"threshold": self.limit if math.isfinite(self.limit) else None, "most": self.most, "metric": self.calibration.metric, "prior": self.prior}

    def of(self, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
        """Compares two embeddings ``(D,)``: ``distance``, ``probability`` and ``same``, as values for JSON."""
        distance = self.calibration.distance(one, other)
        return {"distance": distance, "probability": float(self.calibration.probability(np.array([distance]), self.prior)[0]), "same": distance <= self.limit}
