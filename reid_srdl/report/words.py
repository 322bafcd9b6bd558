"""Numbers and protocols in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def count(number: int, what: str, plural: str = "") -> str:
    """``1 epoch``, ``1,200 epochs``."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def duration(seconds: float) -> str:
    """``8.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def protocol(stamp: Mapping[str, Any]) -> list[str]:
    """The protocol stamp of ``metrics.json`` in sentences; entries that have none are named as they stand."""
    return [f"{name.replace('_', ' ')}: {value}" for name, value in stamp.items()]
