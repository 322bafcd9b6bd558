"""What every evaluation hands out, whatever it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from .. import files
from ..inference import Track
from ..runs import METRICS

__all__ = ["Scored", "Track", "forget"]


def forget(folder: Path) -> None:
    """Takes former scores away, before what they are of is replaced: whatever ends the saving then leaves none that belong to something else.

    Raises:
        UserError: there is no permission to.
    """
    files.check_writable(folder / METRICS)
    (folder / METRICS).unlink(missing_ok=True)


class Scored(Protocol):
    """Figures, with what was scored and how; ``metrics`` are the contents of ``metrics.json``."""

    metrics: dict[str, Any]

    def table(self) -> list[tuple[str, ...]]:
        """The scores for a person's eyes: the names of the columns, then a row each."""
        ...

    def remarks(self) -> list[str]:
        """What was scored, and what to know of it, a sentence each."""
        ...

    def save(self, folder: Path, *, details: bool = True) -> None:
        """Writes ``metrics.json`` and, unless told otherwise, what it is of. All of several processes must call it; the first writes."""
        ...
