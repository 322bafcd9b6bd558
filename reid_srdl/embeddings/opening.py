"""Reads and writes files of embeddings, in the format that their suffix says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from .. import files
from ..errors import UserError
from . import npz_file, parquet_file
from .foreign import named, read
from .result_file import load_result_mat
from .vectors import Embeddings, known

KINDS = {".npz": npz_file, ".parquet": parquet_file}
"""Suffix to the module that has ``write`` and ``read`` for it."""


def save(embeddings: Embeddings, path: files.Pathlike) -> None:
    """Writes ``.npz`` or ``.parquet``, by the suffix; whole or not at all."""
    write(path, iter([embeddings]))


def write(path: files.Pathlike, pieces: Iterator[Embeddings]) -> int:
    """Writes the rows of one piece after another, as they come, so that only one is in memory; returns N, the number of all rows.

    The pieces must have the same dimension, the same columns and the same ``model`` and ``flip``.

    Raises:
        UserError: a suffix other than ``.npz`` and ``.parquet``; no pieces; the file cannot be written.
    """
    path = Path(path)
    writer = _by_suffix(path).write
    first = next(pieces, None)
    if first is None:
        raise UserError(f"there is nothing to write into {path}", "No image was embedded.")

    def counted() -> Iterator[Embeddings]:
        nonlocal rows
        yield first
        for piece in pieces:
            if piece.dimension != first.dimension or known(piece) != known(first) or (piece.model, piece.flip) != (first.model, first.flip):
                raise ValueError("pieces of one file must have the same dimension, columns, model and flip")
            rows += len(piece)
            yield piece

    rows = len(first)
    with files.writing_for_long(path) as temporary:
        writer(temporary, first, counted())
    return rows


def check_suffix(path: files.Pathlike) -> None:
    """Raises ``UserError`` where ``write`` would not know the format, so that no work is done in vain."""
    _by_suffix(Path(path))


def load(path: files.Pathlike) -> Embeddings:
    """Anybody's ``.npz`` or ``.parquet`` with ``vectors``, and ``paths``, ``labels``, ``cameras``, ``model`` and ``flip`` where known.

    Raises:
        UserError: the file is missing, of another format, or truncated; holds Python objects; has no ``vectors``, or such as are no embeddings.
    """
    path = Path(path)
    columns = read(path, _by_suffix(path).read)
    if "vectors" not in columns:
        raise UserError(f"{path} holds no vectors but {', '.join(columns) or 'nothing'}", "Embeddings stand under the name vectors, (N, D).")
    return named(path, columns)


def load_pair(paths: Sequence[files.Pathlike]) -> tuple[Embeddings, Embeddings]:
    """Query and gallery: two files that ``load`` reads, or one ``.mat``.

    Raises:
        UserError: neither two files nor one ``.mat``; query and gallery of different dimension; what ``load`` and ``load_result_mat`` raise.
    """
    paths = [Path(path) for path in paths]
    if len(paths) == 1 and paths[0].suffix.lower() == ".mat":
        query, gallery = load_result_mat(paths[0])
    elif len(paths) == 2:
        query, gallery = load(paths[0]), load(paths[1])
    else:
        raise UserError(f"{len(paths)} files of embeddings", "Give two, of query and gallery (.npz or .parquet), or one .mat that holds both.")
    if query.dimension != gallery.dimension:
        raise UserError(f"query vectors have {query.dimension} numbers, gallery vectors {gallery.dimension}", "Both must come from the same network.")
    return query, gallery


def _by_suffix(path: Path) -> ModuleType:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path} is none of the known kinds of file", f"Known: {', '.join(KINDS)}.")
    return kind
