"""Pairs of computations timed alternately in one process; what counts are their ratios, not seconds of one machine.

A benchmark is a function ``(repeats) -> Report`` and a line in ``BENCHMARKS``.
"""

from __future__ import annotations

import argparse
import contextlib
import contextvars
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch

from reid_srdl.errors import UserError

BENCHMARKS: dict[str, str] = {
    "ranking": "benchmarks.ranking:run",
    "retrieval": "benchmarks.retrieval:run",
    "exports": "benchmarks.exports:run",
    "serving": "benchmarks.serving:run",
    "training_epoch": "benchmarks.training:training_epoch",
    "srdl_cost": "benchmarks.training:srdl_cost",
    "launches": "benchmarks.launches:run",
    "scaling": "benchmarks.scaling:run",
    "peers_ranking": "benchmarks.peers_ranking:run",
    "peers_training": "benchmarks.peers_training:run",
    "peers_embedding": "benchmarks.peers_embedding:run",
    "streaming": "benchmarks.streaming:run",
}
"""Name to ``"module:function"``."""


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""``cpu`` is for a machine with other work on it: the processor seconds of all threads of this process. It does not show what threads gain by
running in parallel, so it is fair to tasks of one thread only, and leaves out other processes, such as the workers of a data loader."""
_clock: contextvars.ContextVar[str] = contextvars.ContextVar("clock", default="wall")


@contextlib.contextmanager
def clock(name: str) -> Iterator[None]:
    """Inside, tasks are timed by the one of ``CLOCKS`` with this name."""
    token = _clock.set(name)
    try:
        yield
    finally:
        _clock.reset(token)


def now() -> float:
    """Seconds by the clock that was chosen."""
    return CLOCKS[_clock.get()]()


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark reports.

    Args:
        what: its meaning in words.
        value: the median over the repeats.
        limit: what it should stay below; none where it is only reported.
        unit: empty for a ratio.
        least: what it should reach; none where it is only reported.
    """

    what: str
    value: float
    limit: float | None = None
    unit: str = ""
    least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.limit is None or self.value <= self.limit) and (self.least is None or self.value >= self.least)


@dataclass(frozen=True)
class Report:
    """What a benchmark found; ``seconds`` has all repeats of each task."""

    settings: dict[str, Any]
    seconds: dict[str, list[float]]
    figures: list[Figure] = field(default_factory=list)


class Seconds(float):
    """What a task returns that measures its own time, because only a part of its work is to be timed."""


def alternate(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each task in each round; tasks take turns, so that other load on the machine falls on all alike.

    One round, which is not timed, goes before.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            began = now()
            done = task()
            if turn:
                seconds[name].append(float(done) if isinstance(done, Seconds) else now() - began)
    return seconds


def median_of(seconds: dict[str, list[float]], ratio: Callable[..., float]) -> float:
    """The median over the rounds of ``ratio(**seconds of the round)``."""
    rounds = zip(*seconds.values(), strict=True)
    return statistics.median(ratio(**dict(zip(seconds, values, strict=True))) for values in rounds)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Inside, torch computes with so many threads; none leaves their number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def above_zero(text: str) -> int:
    """A number of rounds, as argparse takes it."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("it must be above 0")
    return count


def script(main: Callable[[list[str]], int]) -> NoReturn:
    """Ends the process with the code of ``main``; a ``UserError`` is one line and code 2."""
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
