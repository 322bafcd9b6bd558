"""Reads and writes files of embeddings, in the format that their suffix says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from .. import files
from ..errors import UserError
from . import npz_file, parquet_file
from .foreign import named, read, require_vectors
from .joining import joined
from .result_file import load_result_mat
from .vectors import Embeddings, known

Own = Callable[[int], tuple[int, int]]
"""From a number of images to those [start, stop) that are this process's."""


def _all(count: int) -> tuple[int, int]:
    return 0, count


KINDS = {".npz": npz_file, ".parquet": parquet_file}
"""Suffix to the module that has ``write``, ``read`` and ``count`` for it."""


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


def load(path: files.Pathlike, rows: tuple[int, int] | None = None) -> Embeddings:
    """Anybody's ``.npz`` or ``.parquet`` with ``vectors``, and ``paths``, ``labels``, ``cameras``, ``model`` and ``flip`` where known.

    Args:
        path: the file.
        rows: only [start, stop) of its rows; the others take no memory.

    Raises:
        UserError: the file is missing, of another format, or truncated; holds Python objects; has no ``vectors``, or such as are no embeddings.
    """
    path = Path(path)
    reader = _by_suffix(path).read
    columns = read(path, lambda path: reader(path, rows))
    require_vectors(path, columns)
    return named(path, columns, rows[0] if rows else 0)


def load_pair(paths: Sequence[files.Pathlike], own: Own = _all) -> tuple[Embeddings, Embeddings]:
    """Query and gallery: two files that ``load`` reads, or more, which hold one part of the gallery each; or one ``.mat``.

    Args:
        paths: the file of the query first.
        own: of several processes, which rows of the gallery are this one's; of a ``.npz`` or ``.parquet`` the others take no memory.

    Raises:
        UserError: neither two files nor one ``.mat``; query and gallery, or parts of it, of different networks or dimensions; parts of which only
            some have labels, or cameras; what ``load`` and ``load_result_mat`` raise.
    """
    paths = [Path(path) for path in paths]
    if len(paths) == 1 and paths[0].suffix.lower() == ".mat":
        query, gallery = load_result_mat(paths[0])
        gallery = gallery.take(np.arange(*own(len(gallery))))
    elif len(paths) >= 2:
        query, gallery = load(paths[0]), _gallery(paths[1:], own)
    else:
        raise UserError(f"{len(paths)} files of embeddings", "Give two, of query and gallery (.npz or .parquet), or one .mat that holds both.")
    if query.dimension != gallery.dimension:
        raise UserError(f"query vectors have {query.dimension} numbers, gallery vectors {gallery.dimension}", "Both must come from the same network.")
    return query, gallery


def _gallery(paths: Sequence[Path], own: Own) -> Embeddings:
    """The own rows of a gallery whose parts follow each other in the given order; only files that have some of them are read."""
    sizes = [read(path, _by_suffix(path).count) for path in paths]
    start, stop = own(sum(sizes))
    asked = [
        (path, (max(0, start - before), min(size, stop - before)))
        for path, size, before in zip(paths, sizes, itertools.accumulate(sizes, initial=0), strict=False)
    ]
    wanted = [(path, load(path, rows)) for path, rows in asked if rows[0] < rows[1]] or [(paths[0], load(paths[0], (0, min(1, sizes[0]))).take(np.arange(0)))]
    for name in ("labels", "cameras"):
        having, without = ([path for path, part in wanted if (getattr(part, name) is None) == unknown] for unknown in (False, True))
        if having and without:
            raise UserError(f"{without[0]} has no {name}, and {having[0]} has", "The parts of a gallery must say the same of their images.")
    return joined([part for _, part in wanted])


def _by_suffix(path: Path) -> ModuleType:
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path} is none of the known kinds of file", f"Known: {', '.join(KINDS)}.")
    return kind
