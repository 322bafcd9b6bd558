"""Published scores on Market-1501, beside what was measured here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import lines, tables
from .lines import Line
from .markdown import percent, table
from .study import Found, Study

TITLE = "## Published systems, and what was measured here"
HERE = "measured here"


def section(studies: Mapping[str, tuple[Study, Found]]) -> list[str]:
    """Markdown with a row for each system; empty where no run to compare with them is finished.

    Args:
        studies: name to what was planned and what was found.
    """
    stated = tables.stated("published")
    measured = [row for entry in stated["measured"] if entry["study"] in studies for row in _measured(entry, *studies[entry["study"]])]
    if not measured:
        return []
    others = [[entry["system"], stated["sources"][entry["source"]], *(f"{entry[name]:.1f}" if name in entry else "" for name in ("rank1", "mAP"))] for entry in stated["published"]]
    return [TITLE, stated["about"].strip(), table(["system", "source", "Rank-1", "mAP"], [*others, *measured])]


def _measured(entry: Mapping[str, Any], plan: Study, found: Found) -> list[list[str]]:
    return [[f"{entry['system']}, `{line.arm}`", f"{HERE}, n = {len(line.seeds)}", *_scores(line)] for line in lines.of(plan, found, entry["arms"])]


def _scores(line: Line) -> list[str]:
    return [f"{percent(one.mean)}{f' ± {percent(one.sd)}' if one.n > 1 else ''}" for one in (line.summaries["rank1"], line.summaries["mAP"])]
