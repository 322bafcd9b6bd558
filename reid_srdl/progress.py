"""Progress for the user: bars on a terminal, a line now and then where standard error is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class StageLike(Protocol):
    """What the display needs to know of a stage."""

    name: str
    epochs: int


MUCH_WAITING = 0.05
"""Share of the training time above which waiting for images is reported."""


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the process with exit code 1, which means something else here.
        raise BrokenPipeError


def terminal(**options: Any) -> Console:
    """The standard output, for tables."""
    return _Terminal(highlight=False, **options)


console = Console(stderr=True, highlight=False, soft_wrap=True)


def bar() -> Progress:
    """A bar with count, time spent and time left, on standard error, gone when it is done."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True,
    )  # fmt: skip


def tracked(title: str) -> Callable[[Iterable[int]], Iterable[int]]:
    """Wraps an iteration over a sized iterable in a bar; without a terminal, nothing is shown."""

    def track(items: Iterable[int]) -> Iterator[int]:
        if not sys.stderr.isatty():
            yield from items
            return
        with bar() as progress:
            task = progress.add_task(title, total=len(items), note="")  # type: ignore[arg-type]
            for item in items:
                yield item
                progress.advance(task)

    return track


def says(line: str) -> None:
    """One line for the user, on standard error."""
    console.print(line, markup=False)


def waiting(waited: float | None, seconds: float | None) -> str:
    """What to tell the user where ``waited`` of ``seconds`` of training passed without an image being ready; empty where that is little or unknown."""
    if not waited or not seconds or waited <= MUCH_WAITING * seconds:
        return ""
    return f"waited for images {min(waited / seconds, 1.0):.0%} of the time: raise --data.workers, or --data.memory_gb where they may fit into memory"


class TrainingDisplay:
    """Shows a run: a bar for the epoch with loss, images/s and time left, and a line for each finished epoch.

    Args:
        quiet: show nothing (in all processes of a distributed run but the first).
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._images, self._began = 0, 0.0
        self._said_that_it_waits = False

    def says(self, line: str) -> None:
        if not self.quiet:
            says(line)

    def tracks(self, title: str) -> Callable[[Iterable[int]], Iterable[int]]:
        return iter if self.quiet else tracked(title)

    def epoch_begins(self, stage: StageLike, number: int, epoch: int, steps: int, done: int) -> None:
        self._stage, self._epoch = stage, epoch
        self._images, self._began = 0, time.perf_counter()
        if self.quiet or not sys.stderr.isatty():
            return
        if self._progress is None:
            self._progress = bar()
            self._progress.start()
            self._task = self._progress.add_task("", note="")
        title = f"stage {number + 1} ({stage.name}) epoch {epoch + 1}/{stage.epochs}"
        self._progress.reset(self._task, total=steps, completed=done, description=title, note="")

    def step_ends(self, images: int, loss: float | None) -> None:
        self._images += images
        if self._progress is None:
            return
        self._progress.advance(self._task)
        if loss is not None:
            speed = self._images / max(time.perf_counter() - self._began, 1e-9)
            self._progress.update(self._task, note=f"loss {loss:.3f}  {speed:,.0f} images/s")

    def epoch_ends(self, row: dict[str, Any]) -> None:
        if self.quiet:
            return
        left = (self._stage.epochs - self._epoch - 1) * row["seconds"]
        imitation = f"  imitation {row['imitation']:.4f}" if row["imitation"] is not None else ""
        metric = f"  metric {row['metric']:.3f}" if "metric" in row else ""
        says(
            f"{self._stage.name} {self._epoch + 1:>3}/{self._stage.epochs}  rate {row['rate']:g}  cross-entropy {row['cross_entropy']:.3f}{imitation}{metric}"
            f"  accuracy {row['accuracy']:.1%}  {row['images_per_s']:,.0f} images/s  {left / 60:.0f} min left in this stage"
        )
        waits = waiting(row.get("waited"), row["seconds"])
        if waits and not self._said_that_it_waits:
            self._said_that_it_waits = True
            says(f"This epoch {waits}.")
        if self._epoch + 1 == self._stage.epochs and self._progress is not None:
            self._progress.stop()
            self._progress = None

    def close(self) -> None:
        """Takes an unfinished bar off the screen."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
