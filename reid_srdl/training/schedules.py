"""Learning rates as data: one number an epoch (Eq. 3 and 4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..config import ScheduleConfig
from ..errors import UserError


def step_rates(base: float, length: int, drops: Sequence[float], factor: float) -> tuple[float, ...]:
    """The rates of ``length`` epochs; a drop at fraction f holds from the first epoch e (from 0) with ``e >= f * length``.

    Equal to ``base * factor ** (number of drops passed)``.

    Raises:
        UserError: a drop that is not between 0 and 1, such as the number of an epoch.
    """
    for drop in drops:
        if not 0 <= drop <= 1:
            raise UserError(f"the drop {drop:g} is no fraction of the epochs", "Give it as one: 0.5 for half of them.")
    # By rounding, products such as 0.07 * 100 are slightly above the whole number.
    return tuple(base * factor ** sum(epoch >= drop * length - 1e-9 for drop in drops) for epoch in range(length))


def cosine_rates(base: float, length: int, final: float = 0.0) -> tuple[float, ...]:
    """The rates of ``length`` epochs along half a cosine (Loshchilov and Hutter 2017): from ``base`` in epoch 0 to what would be ``final * base`` in
    epoch ``length``."""
    return tuple(base * (final + (1 - final) * (1 + math.cos(math.pi * epoch / length)) / 2) for epoch in range(length))


def _steps(config: ScheduleConfig, base: float, length: int) -> tuple[float, ...]:
    return step_rates(base, length, config.drops, config.factor)


def _cosine(config: ScheduleConfig, base: float, length: int) -> tuple[float, ...]:
    warm = config.warmup_epochs
    return (base,) * warm + cosine_rates(base, length - warm, config.final)


SCHEDULES: dict[str, Callable[[ScheduleConfig, float, int], tuple[float, ...]]] = {"steps": _steps, "cosine": _cosine}


def scheduled(config: ScheduleConfig, base: float, length: int) -> tuple[float, ...]:
    """The rates of ``length`` epochs, warm-up included.

    In epoch e of a warm-up of w epochs, the schedule's rate is multiplied by ``from + (1 - from) * e / w``; from epoch w on it is used as it is. The drops
    of a schedule of steps stay at their fractions of ``length``, warm-up included; a cosine begins after the warm-up.

    Args:
        config: with a warm-up shorter than ``length``.
        base: the highest rate.
        length: epochs of the schedule.
    """
    rates = SCHEDULES[config.name](config, base, length)
    warm, first = config.warmup_epochs, config.warmup_from
    return tuple(rate * (first + (1 - first) * epoch / warm) if epoch < warm else rate for epoch, rate in enumerate(rates))
