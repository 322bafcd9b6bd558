"""Reads files that anybody may have written: whatever is wrong with one becomes a one-line error that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import UserError
from .vectors import Embeddings

Found = TypeVar("Found")


def read(path: Path, reader: Callable[[Path], Found]) -> Found:
    """What ``reader`` finds in the file. Raises ``UserError``, whatever the reader raises."""
    if not path.is_file():
        raise UserError(f"there is no file {path}", "The commands embed and eval write such files.")
    try:
        return reader(path)
    except UserError:
        raise
    except (MemoryError, OverflowError):
        raise UserError(f"{path} asks for more memory than there is") from None
    except Exception as error:  # each of three libraries has its own ways to say that a file is no such file
        raise UserError(f"{path} cannot be read ({type(error).__name__}: {error})", "It is damaged, or of another kind than its name says.") from None


def require_vectors(path: Path, names: Iterable[str]) -> None:
    """Raises ``UserError`` where there are no vectors among the columns of a file."""
    if "vectors" not in names:
        raise UserError(f"{path} holds no vectors but {', '.join(names) or 'nothing'}", "Embeddings stand under the name vectors, (N, D).")


def named(path: Path, columns: dict[str, Any], first: int = 0) -> Embeddings:
    """Embeddings made of the columns, whose rows are those of the file from row ``first`` on; an error in them names the file."""
    try:
        return Embeddings(**columns)
    except UserError as error:
        raise UserError(f"{path}{f', from its row {first:,} on' if first else ''}: {error.message}", error.hint) from None
