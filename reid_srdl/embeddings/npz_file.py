"""Embeddings in NumPy's ``.npz``: one array per column."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import UserError
from .vectors import Embeddings, known


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


def read(path: Path) -> dict[str, Any]:
    """The columns that the file has, by name."""
    columns: dict[str, Any] = {}
    if not zipfile.is_zipfile(path):  # for a bare pickle, NumPy's own message would advise to run it
        raise UserError(f"{path} is no .npz archive", "It is damaged, or of another kind than its name says.")
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
        for name in ("vectors", "paths", "labels", "cameras", "model", "flip"):
            if name in archive:
                try:
                    columns[name] = archive[name]
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
