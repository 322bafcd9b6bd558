"""What every evaluation hands out, whatever it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from .. import files
from ..inference import Track
from ..runs import METRICS

__all__ = ["Scored", "Track", "forget"]


def forget(folder: Path) -> None:
    """Deletes former scores before the files that they are of are replaced, so that a save that is broken off leaves no scores of other files.

    Raises:
        UserError: nothing can be written into the folder.
    """
    files.check_writable(folder / METRICS)
    (folder / METRICS).unlink(missing_ok=True)


class Scored(Protocol):
    """Figures, with what was scored and how; ``metrics`` are the contents of ``metrics.json``."""

    metrics: dict[str, Any]

    def table(self) -> list[tuple[str, ...]]:
        """The scores as a table to print: the names of the columns, then its rows."""
        ...

    def remarks(self) -> list[str]:
        """What was scored, and what to know of it, a sentence each."""
        ...

    def save(self, folder: Path, *, details: bool = True) -> None:
        """Writes ``metrics.json`` and, with ``details``, the files that it is computed from. All processes must call it; only the first writes."""
        ...
