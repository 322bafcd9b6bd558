"""Which epoch's network is handed on by a stage that keeps its best: the first one with the highest score on the held-out part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import runs
from ..errors import UserError
from .plans import Plan

CHOOSES = ("val_mAP", "val_top1")
"""Scores by which the epoch may be chosen; the first of them that was measured is used."""


def check_asked(plan: Plan, scores: bool) -> None:
    """Raises ``UserError`` where a stage keeps its best epoch but epochs are not scored (``scores``)."""
    for stage in plan:
        if stage.keep == "best" and not scores:
            raise UserError(
                f"stage {stage.name} keeps the epoch that scores best, and there is nobody who scores",
                "Give train a score: a function of a network and its place that returns mAP (of people) or top1 (of classes).",
            )


def check_scored(row: Mapping[str, Any]) -> None:
    """Raises ``UserError`` where the log row of an epoch has none of the scores in ``CHOOSES``."""
    if all(row.get(name) is None for name in CHOOSES):
        said = ", ".join(name.removeprefix("val_") for name in row if name.startswith("val_")) or "nothing"
        raise UserError(
            f"the best epoch is chosen by mAP or top1, and the score of epoch {row['epoch']} holds {said}",
            "Have the score return one of them; a resume goes on from the last epoch before.",
        )


def file_of(folder: Path, row: Mapping[str, Any]) -> Path:
    """The file that holds the network of an epoch until the end of the stage."""
    best = folder / runs.BEST
    return best.with_stem(f"{best.stem}-{int(row['epoch'])}")


def others(folder: Path) -> list[Path]:
    """The files of all epochs but the one that is best by the stage's log."""
    rows = runs.read_log(folder)
    found, best = chosen(rows), folder / runs.BEST
    own = None if found is None else file_of(folder, rows[found[0]])
    return [file for file in folder.glob(f"{best.stem}-*{best.suffix}") if file != own]


def chosen(rows: Sequence[Mapping[str, Any]]) -> tuple[int, str] | None:
    """The row in a stage's log of the epoch that is kept, and the name of the score that decides; None where no epoch was scored.

    Of equal scores the first wins. A score that is not finite is below all others.
    """
    for name in CHOOSES:
        scored = [(row[name] if math.isfinite(row[name]) else -math.inf, -number) for number, row in enumerate(rows) if row.get(name) is not None]
        if scored:
            return -max(scored)[1], name
    return None
