"""Embeddings in NumPy's ``.npz``: one array per column."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.npyio import NpzFile

from .. import files
from ..errors import UserError
from .foreign import require_vectors
from .vectors import Embeddings, known

_PIECE = 1 << 20
"""Bytes read at a time where not all rows are asked for."""


def write(path: Path, first: Embeddings, pieces: Iterator[Embeddings]) -> None:
    """Writes the rows of one piece after another, as they come; ``first`` is the first piece."""
    # An .npy begins with its shape, which is known only at the end: until then the vectors are kept in a file of their own.
    columns: dict[str, list] = {name: [] for name in known(first)}
    vectors, rows = path.with_suffix(".vectors"), 0
    try:
        files.begin_like(path, vectors)
        with open(vectors, "wb") as raw:
            for piece in pieces:
                raw.write(piece.vectors.data)
                rows += len(piece)
                for name, values in columns.items():
                    values.append(np.asarray(getattr(piece, name), dtype=np.str_ if name == "paths" else np.int64))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            with archive.open("vectors.npy", "w", force_zip64=True) as member, open(vectors, "rb") as raw:
                header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": (rows, first.dimension)}
                np.lib.format.write_array_header_1_0(member, header)
                shutil.copyfileobj(raw, member, 1 << 20)
            arrays = {name: np.concatenate(values) for name, values in columns.items()} | {"model": np.array(first.model)}
            arrays |= {} if first.flip is None else {"flip": np.array(first.flip)}
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    finally:
        vectors.unlink(missing_ok=True)


def count(path: Path) -> int:
    """How many rows the file has."""
    with _opened(path) as archive:
        require_vectors(path, archive.files)
        with archive.zip.open("vectors.npy") as member:
            shape = _header(member)[0]
    return shape[0] if shape else 0


def read(path: Path, rows: tuple[int, int] | None = None) -> dict[str, Any]:
    """The columns that the file has, by name; with ``rows`` only [start, stop) of them, and no others in memory."""
    columns: dict[str, Any] = {}
    size = None if rows is None else count(path)
    with _opened(path) as archive:
        for name in ("vectors", "paths", "labels", "cameras", "model", "flip"):
            if name in archive:
                try:
                    columns[name] = archive[name] if rows is None or name in ("model", "flip") else _some(archive, name, rows, size)
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    raise UserError(f"{path} holds {name} as Python objects, which are never unpickled", "Save them as plain numbers or text.") from None
    if "paths" in columns:
        columns["paths"] = tuple(columns["paths"].reshape(-1).tolist())
    if "model" in columns:
        columns["model"] = str(columns["model"])
    if "flip" in columns:
        columns["flip"] = bool(columns["flip"]) if columns["flip"].shape == () else None  # somebody else's array of that name
    return columns


def _opened(path: Path) -> NpzFile:
    if not zipfile.is_zipfile(path):  # for a bare pickle, NumPy's own message would advise to run it
        raise UserError(f"{path} is no .npz archive", "It is damaged, or of another kind than its name says.")
    return np.load(path, allow_pickle=False)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape of an array, whether it lies there column by column, and the type of its numbers; they follow in ``member``."""
    version = np.lib.format.read_magic(member)
    return (np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0)(member)


def _some(archive: NpzFile, name: str, rows: tuple[int, int], size: int) -> np.ndarray:
    """Rows [start, stop) of an array of ``size`` rows. The others are read too, a piece at a time, since the archive's checksum is that of all of them."""
    with archive.zip.open(f"{name}.npy") as member:
        shape, by_columns, dtype = _header(member)
        if shape and shape[0] != size:  # of some rows alone, nobody could tell any more
            raise UserError(f"{archive.zip.filename} holds {size:,} vectors, but {name} of shape {shape}", "Save one of each for every image.")
        if by_columns or dtype.hasobject or not shape:
            return archive[name][slice(*rows)] if shape else archive[name]
        found = np.empty((rows[1] - rows[0], *shape[1:]), dtype)
        begins, length = rows[0] * dtype.itemsize * int(np.prod(shape[1:])), found.nbytes
        flat, filled = found.reshape(-1).view(np.uint8), 0
        for _ in _pieces(member, begins):
            pass
        for piece in _pieces(member, length):
            flat[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
        for _ in _pieces(member):
            pass
    if filled < length:
        raise EOFError(f"{name} ends before row {rows[1]:,}")
    return found


def _pieces(member: IO[bytes], length: int = sys.maxsize) -> Iterator[bytes]:
    """The next ``length`` bytes, or all that are left, a piece at a time; a seek would read many more at once."""
    while length and (piece := member.read(min(_PIECE, length))):
        yield piece
        length -= len(piece)
