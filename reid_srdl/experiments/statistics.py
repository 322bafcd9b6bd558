"""Statistics over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
"""Confidence level of the intervals of differences, the usual one."""


@dataclass(frozen=True)
class Summary:
    """``n`` values: their mean, and their standard deviation (with n - 1; NaN for one value)."""

    n: int
    mean: float
    sd: float


def summary(values: Sequence[float]) -> Summary:
    array = np.asarray(values, dtype=float)
    return Summary(len(array), float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else math.nan)


@dataclass(frozen=True)
class Difference:
    """Mean of ``n`` paired differences with its interval (Student's t; NaN for one pair)."""

    n: int
    mean: float
    low: float
    high: float


def paired(one: Sequence[float], other: Sequence[float]) -> Difference:
    """``one - other``, pair by pair; the interval holds the true mean with probability ``LEVEL`` if differences are normal."""
    from scipy import stats

    differences = summary(np.asarray(one, dtype=float) - np.asarray(other, dtype=float))
    if differences.n < 2:
        return Difference(differences.n, differences.mean, math.nan, math.nan)
    half = float(stats.t.ppf((1 + LEVEL) / 2, differences.n - 1)) * differences.sd / math.sqrt(differences.n)
    return Difference(differences.n, differences.mean, differences.mean - half, differences.mean + half)
