"""Learning rates as data: one number an epoch (Eq. 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence


def step_rates(base: float, length: int, drops: Sequence[float], factor: float) -> tuple[float, ...]:
    """The rates of ``length`` epochs; a drop at fraction f holds from the first epoch e (from 0) with ``e >= f * length``.

    Equal to ``base * factor ** (number of drops passed)``.
    """
    # Fractions such as 0.1 * 30 come out a hair above the whole number they stand for.
    return tuple(base * factor ** sum(epoch >= drop * length - 1e-9 for drop in drops) for epoch in range(length))
