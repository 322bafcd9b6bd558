"""When does it pay? The gain of SRDL over vanilla training and over label smoothing, by epochs and by number of training images.

A grid of studies with paired seeds. The paper leaves the question open: it measured its gains at one budget for each data set.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from . import charts, lines
from .markdown import gain, table
from .statistics import Difference
from .study import Found, Study

COMPARED = (("srdl", "vanilla"), ("srdl", "label_smoothing"))
"""Which arm is measured against which."""


@dataclass(frozen=True)
class Cell:
    """The paired differences of the first score at one budget and one number of training images, by pair of ``COMPARED``."""

    epochs: int
    images: int
    score: str
    differences: dict[tuple[str, str], Difference]


def cells(parts: Sequence[tuple[Study, Found]]) -> list[Cell]:
    """The cells in which the two arms of a comparison share a seed; the others are still to be run."""
    found_cells = []
    for study, found in parts:
        runs = {arm: lines.finished(study, found, arm) for arm in {arm for pair in COMPARED for arm in pair}}
        records = [record for some in runs.values() for record in some.values()]
        if not records:
            continue
        score = next(name for name in lines.SCORES if name in records[0]["scores"])
        differences = {}
        for one, other in COMPARED:
            between = lines.difference(runs[one], runs[other])
            if score in between:
                differences[one, other] = between[score]
        if differences:
            found_cells.append(Cell(int(study.settings["plan.epochs"]), records[0]["images"], score, differences))
    return sorted(found_cells, key=lambda cell: (cell.images, cell.epochs))


def markdown(shown: Sequence[Cell]) -> str:
    """A table with a row for each cell; gains are in percentage points."""
    rows = []
    for cell in shown:
        counts = sorted({difference.n for difference in cell.differences.values()})
        gains = [gain(cell.differences[pair]) if pair in cell.differences else "" for pair in COMPARED]
        rows.append([f"{cell.images:,}", str(cell.epochs), " and ".join(map(str, counts)), *gains])
    return table(["training images", "epochs in all", "pairs", *(f"{one} − {other}" for one, other in COMPARED)], rows)


def as_csv(shown: Sequence[Cell]) -> str:
    """The cells as CSV, a row for each comparison; differences are in percentage points."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["images", "epochs", "score", "one", "other", "pairs", "difference", "low", "high"])
    for cell in shown:
        for (one, other), found in cell.differences.items():
            writer.writerow([cell.images, cell.epochs, cell.score, one, other, found.n, *(f"{100 * value:.3f}" for value in (found.mean, found.low, found.high))])
    return out.getvalue()


def picture(shown: Sequence[Cell]) -> bytes:
    """A PNG with one panel for each comparison and one curve for each number of training images."""
    panels: dict[str, dict[str, dict[int, Difference]]] = {}
    for one, other in COMPARED:
        curves: dict[str, dict[int, Difference]] = {}
        for cell in shown:
            if (one, other) in cell.differences:
                curves.setdefault(f"{cell.images:,} images", {})[cell.epochs] = cell.differences[one, other]
        if curves:
            panels[f"{one} − {other}"] = curves
    return charts.gains(panels)
