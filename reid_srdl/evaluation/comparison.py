"""When two images are called the same identity: by their distance, and what a calibration makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .calibration import Calibration


@dataclass(frozen=True, eq=False)
class Comparison:
    """What pairs are compared by; ``by`` makes one.

    Args:
        calibration: of the network that embeds them, with mirror images where it says so.
        probability: from which on they are called the same.
        prior: share of genuine pairs among those that are asked about.
        limit: the largest distance that is so probable; infinite where every one is, minus infinity where none is.
    """

    calibration: Calibration
    probability: float
    prior: float
    limit: float

    @staticmethod
    def by(calibration: Calibration, probability: float = 0.5, prior: float | None = None) -> Comparison:
        """At the calibration's prior where none is named. Raises ``UserError`` for a probability or a prior that is none."""
        prior = calibration.prior if prior is None else prior
        return Comparison(calibration, probability, prior, calibration.threshold(probability, prior))

    @property
    def most(self) -> float:
        """The highest probability that any distance has."""
        return self.calibration.most(self.prior)

    def facts(self) -> dict[str, Any]:
        """As JSON can hold it: threshold, most, metric, prior. The threshold is null where the limit is no distance."""
        return {"threshold": self.limit if math.isfinite(self.limit) else None, "most": self.most, "metric": self.calibration.metric, "prior": self.prior}

    def of(self, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
        """Two embeddings ``(D,)``, as JSON can hold it: distance, probability, same."""
        distance = self.calibration.distance(one, other)
        return {"distance": distance, "probability": float(self.calibration.probability(np.array([distance]), self.prior)[0]), "same": distance <= self.limit}
