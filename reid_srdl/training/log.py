"""``log.csv`` of a stage: one row for each epoch, appended as it ends, and cut back to the last complete state on resume."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ..files import write_text
from ..runs import read_log

COLUMNS = (
    "epoch", "rate", "loss", "cross_entropy", "imitation", "metric", "accuracy", "images_per_s", "seconds", "waited", "val_rank1", "val_mAP",
    "val_top1", "val_loss",
)  # fmt: skip
WHERE_USED = ("metric",)
"""Columns that a log has only if its rows do; all others may be empty."""


def _columns(row: dict[str, Any]) -> list[str]:
    return [name for name in COLUMNS if name in row or name not in WHERE_USED]


def _line(cells: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds a row; what was not measured stays empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "a") as file:
            if file.tell() == 0:
                file.write(_line(_columns(row)))
            file.write(_line(["" if row.get(name) is None else row[name] for name in _columns(row)]))
    except OSError as error:  # unlike that of an open, the error of a write does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from None


def cut(path: Path, epochs: int) -> None:
    """Keeps the rows of the first ``epochs`` epochs."""
    if not path.is_file():
        return
    rows = [row for row in read_log(path.parent) if (row["epoch"] or 0) < epochs]
    lines = [_line(_columns(rows[0]))] if rows else []  # an empty file gets its head with the first row
    for row in rows:
        cells = ["" if row.get(name) is None else row[name] for name in _columns(row)]
        lines.append(_line([int(cells[0]), *cells[1:]]))
    write_text(path, "".join(lines))
