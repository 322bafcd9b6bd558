"""Which epoch a stage that keeps its best one hands on: the first that scored highest on the held-out part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHOOSES = ("val_mAP", "val_top1")
"""The score by which it is chosen: the first of these that there is."""


def chosen(rows: Sequence[Mapping[str, Any]]) -> tuple[int, str] | None:
    """Row and score of the epoch that is kept, of those in a stage's log; none where none has been scored.

    The first of equal ones: a later epoch takes its place only by scoring higher.
    """
    for name in CHOOSES:
        scored = [(row[name], -number) for number, row in enumerate(rows) if row.get(name) is not None]
        if scored:
            return -max(scored)[1], name
    return None
