"""Vectors of images with what is known of each image, and their files: ``.npz``, ``.parquet`` and the field's ``.mat``."""

from __future__ import annotations

import dataclasses
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import files
from .errors import UserError

_BLOCK = 1 << 22
"""Numbers looked at in one go, so that checks of a memory-mapped array need no memory."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N vectors, one an image.

    Args:
        vectors: ``(N, D)``, all finite; kept as float32. A memory-mapped float32 array stays one.
        paths: N paths of the images; none where unknown.
        labels: int64 ``(N,)``; none where unlabelled (which is not junk).
        cameras: int64 ``(N,)``; none where unknown.
        model: hash of the network that made the vectors; empty where unknown.

    Raises:
        UserError: columns of different lengths, labels that are no whole numbers, a vector that is not finite (by row and path).
    """

    vectors: np.ndarray
    paths: tuple[str, ...] | None = None
    labels: np.ndarray | None = None
    cameras: np.ndarray | None = None
    model: str = ""

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors)
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or (len(vectors) and not vectors.shape[1]):
            raise UserError(f"vectors of shape {vectors.shape} and type {vectors.dtype} are no embeddings", "They must be numbers (N, D).")
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below, by row
            object.__setattr__(self, "vectors", np.ascontiguousarray(vectors, dtype=np.float32))
        for column in ("labels", "cameras"):
            if getattr(self, column) is not None:
                object.__setattr__(self, column, _whole_numbers(getattr(self, column), column, len(vectors)))
        if self.paths is not None:
            object.__setattr__(self, "paths", tuple(os.fsdecode(path) if isinstance(path, bytes) else str(path) for path in self.paths))
            if len(self.paths) != len(vectors):
                raise UserError(f"{len(vectors):,} vectors, but {len(self.paths):,} paths", "Each vector needs one.")
        self._refuse_what_is_not_finite()

    def _refuse_what_is_not_finite(self) -> None:
        step = max(1, _BLOCK // max(1, self.dimension))
        for start in range(0, len(self), step):
            finite = np.isfinite(self.vectors[start : start + step]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                of = f" ({self.paths[row]})" if self.paths is not None else ""
                raise UserError(f"the vector in row {row}{of} holds NaN or infinity", "Rows are counted from 0; leave this one out, or embed it again.")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def take(self, rows: np.ndarray) -> Embeddings:
        """The given rows (indices or a mask), in their order."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return dataclasses.replace(
            self,
            vectors=self.vectors[rows],
            paths=None if self.paths is None else tuple(self.paths[row] for row in rows),
            labels=None if self.labels is None else self.labels[rows],
            cameras=None if self.cameras is None else self.cameras[rows],
        )


def _whole_numbers(column: Any, name: str, length: int) -> np.ndarray:
    values = np.asarray(column)
    if values.shape != (length,):
        raise UserError(f"{length:,} vectors, but {name} of shape {values.shape}", "Each vector needs one.")
    whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((np.isfinite(values) & (values == np.rint(values))).all()))
    if not whole and length:
        raise UserError(f"{name} are of type {values.dtype}, not whole numbers", "Number them, alike in the files of query and gallery.")
    return values.astype(np.int64)


# --- writing -----------------------------------------------------------------------------------------------------


def save(embeddings: Embeddings, path: files.Pathlike) -> None:
    """Writes ``.npz`` or ``.parquet``, by the suffix; whole or not at all."""
    write(path, iter([embeddings]))


def write(path: files.Pathlike, pieces: Iterator[Embeddings]) -> int:
    """Writes pieces one below the other as they come, so that no more than one is in memory; returns N.

    The pieces have the same dimension, the same columns and the same ``model``.

    Raises:
        UserError: a suffix other than ``.npz`` and ``.parquet``; no pieces; the file cannot be written.
    """
    path = Path(path)
    writer = _by_suffix(path, {".npz": _write_npz, ".parquet": _write_parquet})
    first = next(pieces, None)
    if first is None:
        raise UserError(f"there is nothing to write into {path}", "No image was embedded.")

    def counted() -> Iterator[Embeddings]:
        nonlocal rows
        yield first
        for piece in pieces:
            if piece.dimension != first.dimension or _columns(piece) != _columns(first) or piece.model != first.model:
                raise ValueError("pieces of one file must have the same dimension, columns and model")
            rows += len(piece)
            yield piece

    rows = len(first)
    with files.writing(path) as temporary:
        writer(temporary, first, counted())
    return rows


def check_suffix(path: files.Pathlike) -> None:
    """Raises ``UserError`` where ``write`` would not know the kind of file, before any work is done for it."""
    _by_suffix(Path(path), {".npz": None, ".parquet": None})


def _by_suffix(path: Path, choices: dict[str, Any]) -> Any:
    if path.suffix.lower() not in choices:
        raise UserError(f"{path} is none of the known kinds of file", f"Known: {', '.join(choices)}.")
    return choices[path.suffix.lower()]


def _columns(piece: Embeddings) -> tuple[str, ...]:
    return tuple(name for name in ("paths", "labels", "cameras") if getattr(piece, name) is not None)


def _write_npz(path: Path, first: Embeddings, pieces: Iterator[Embeddings]) -> None:
    # An .npy begins with its shape, which is known only at the end: the vectors wait in a file of their own.
    columns: dict[str, list] = {name: [] for name in _columns(first)}
    vectors, rows = path.with_suffix(".vectors"), 0
    try:
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
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    finally:
        vectors.unlink(missing_ok=True)


def _write_parquet(path: Path, first: Embeddings, pieces: Iterator[Embeddings]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"paths": pa.string(), "vectors": pa.list_(pa.float32(), first.dimension), "labels": pa.int64(), "cameras": pa.int64()}
    kept = {name: kind for name, kind in types.items() if name == "vectors" or name in _columns(first)}
    schema = pa.schema(list(kept.items()), metadata={"model": first.model})
    with pq.ParquetWriter(path, schema) as writer:
        for piece in pieces:
            flat = pa.array(piece.vectors.reshape(-1))
            arrays = [
                pa.FixedSizeListArray.from_arrays(flat, first.dimension) if name == "vectors" else pa.array(getattr(piece, name), kind)
                for name, kind in kept.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


# --- reading -----------------------------------------------------------------------------------------------------


def load(path: files.Pathlike) -> Embeddings:
    """Anybody's ``.npz`` or ``.parquet`` with ``vectors``, and ``paths``, ``labels``, ``cameras``, ``model`` where known.

    Raises:
        UserError: not there, of another kind, truncated, holding Python objects, without ``vectors``, or no embeddings.
    """
    path = Path(path)
    reader = _by_suffix(path, {".npz": _read_npz, ".parquet": _read_parquet})
    return _loaded(path, reader)


def _loaded(path: Path, reader: Callable[[Path], dict[str, Any]]) -> Embeddings:
    columns = _read(path, reader)
    if "vectors" not in columns:
        raise UserError(f"{path} holds no vectors but {', '.join(columns) or 'nothing'}", "Embeddings stand under the name vectors, (N, D).")
    return _named(path, columns)


def _read(path: Path, reader: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
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


def _named(path: Path, columns: dict[str, Any]) -> Embeddings:
    try:
        return Embeddings(**columns)
    except UserError as error:
        raise UserError(f"{path}: {error.message}", error.hint) from None


def _read_npz(path: Path) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if not zipfile.is_zipfile(path):  # of a bare pickle NumPy's own message advises to run it
        raise UserError(f"{path} is no .npz archive", "It is damaged, or of another kind than its name says.")
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
        for name in ("vectors", "paths", "labels", "cameras", "model"):
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
    return columns


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    table = file.read(columns=[name for name in ("vectors", "paths", "labels", "cameras") if name in file.schema_arrow.names])
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in table.column_names if name not in ("paths", "vectors")}
    if "paths" in table.column_names:
        columns["paths"] = tuple(str(value) for value in table["paths"].to_pylist())
    if "vectors" in table.column_names:
        column = table["vectors"].combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        if column.null_count:
            raise UserError(f"{path} holds {column.null_count:,} rows without a vector", "Leave them out.")
        lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False)) if not pa.types.is_fixed_size_list(column.type) else None
        if lengths is not None and len(lengths) > 1:
            raise UserError(f"{path} holds vectors of different lengths, {lengths[0]} to {lengths[-1]}")
        columns["vectors"] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1 if len(column) else 0)
    columns["model"] = (file.schema_arrow.metadata or {}).get(b"model", b"").decode()
    return columns


def load_result_mat(path: files.Pathlike) -> tuple[Embeddings, Embeddings]:
    """Query and gallery from the result file that the field passes around.

    It holds ``query_f``, ``query_label``, ``query_cam``, ``gallery_f``, ``gallery_label``, ``gallery_cam``. Features are
    ``(N, D)``, or ``(D, N)`` where only that fits the labels.

    Raises:
        UserError: not there, not readable, or lacking one of the six.
    """
    import scipy.io

    path = Path(path)
    names = [f"{part}_{column}" for part in ("query", "gallery") for column in ("f", "label", "cam")]

    def reader(path: Path) -> dict[str, Any]:
        try:
            return scipy.io.loadmat(path, variable_names=names)
        except NotImplementedError:
            raise UserError(f"{path} is a MATLAB 7.3 file", "Save it with save(..., '-v7') in MATLAB.") from None

    values = _read(path, reader)
    missing = [name for name in names if name not in values]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}", f"A result file holds {', '.join(names)}.")
    return _part(path, values, "query"), _part(path, values, "gallery")


def _part(path: Path, values: dict[str, Any], part: str) -> Embeddings:
    features, labels, cameras = (np.asarray(values[f"{part}_{column}"]) for column in ("f", "label", "cam"))
    labels, cameras = labels.reshape(-1), cameras.reshape(-1)
    if features.ndim == 2 and features.shape[0] != len(labels) and features.shape[1] == len(labels):
        features = features.T
    return _named(path, {"vectors": features, "labels": labels, "cameras": cameras})


def load_pair(paths: Sequence[files.Pathlike]) -> tuple[Embeddings, Embeddings]:
    """Query and gallery: two files that ``load`` reads, or one ``.mat``.

    Raises:
        UserError: another number of files, or query and gallery of different dimension.
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
