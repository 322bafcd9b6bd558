"""How scores and differences are written in tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..markdown import row
from .statistics import Difference


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; bars and line breaks inside a cell do not break it."""
    return "\n".join([row(head), "|" + "---|" * len(head), *map(row, rows)])


def percent(value: float) -> str:
    """A fraction in percent with one decimal; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def gain(difference: Difference) -> str:
    """``+1.2 [+0.3, +2.1]``, in percentage points; no brackets for a single pair."""
    interval = "" if math.isnan(difference.low) else f" [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
    return f"{100 * difference.mean:+.1f}{interval}"
