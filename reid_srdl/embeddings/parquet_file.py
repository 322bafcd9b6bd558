"""Embeddings as a table in ``.parquet``: one row per image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .vectors import Embeddings, known

if TYPE_CHECKING:
    import pyarrow


def write(path: Path, first: Embeddings, pieces: Iterator[Embeddings]) -> None:
    """Writes the rows of one piece after another, as they come; ``first`` is the first piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"paths": pa.string(), "vectors": pa.list_(pa.float32(), first.dimension), "labels": pa.int64(), "cameras": pa.int64()}
    kept = {name: kind for name, kind in types.items() if name == "vectors" or name in known(first)}
    schema = pa.schema(list(kept.items()), metadata={"model": first.model, **({} if first.flip is None else {"flip": str(first.flip)})})
    with pq.ParquetWriter(path, schema) as writer:
        for piece in pieces:
            flat = pa.array(piece.vectors.reshape(-1))
            arrays = [
                pa.FixedSizeListArray.from_arrays(flat, first.dimension) if name == "vectors" else pa.array(getattr(piece, name), kind)
                for name, kind in kept.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def count(path: Path) -> int:
    """How many rows the file has."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def read(path: Path, rows: tuple[int, int] | None = None) -> dict[str, Any]:
    """The columns that the file has, by name; with ``rows`` only [start, stop) of them, and none in memory of a row group that has none of these."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    table = _rows(file, [name for name in ("vectors", "paths", "labels", "cameras") if name in file.schema_arrow.names], rows or (0, file.metadata.num_rows))
    first = rows[0] if rows else 0
    stated = [name for name in table.column_names if name != "vectors" and _is_stated(path, table[name], name, first)]
    columns: dict[str, Any] = {name: tuple(path if isinstance(path, bytes) else str(path) for path in table[name].to_pylist()) if name == "paths" else table[name].to_numpy() for name in stated}
    if "vectors" in table.column_names:
        column = table["vectors"].combine_chunks()
        column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        if column.null_count:
            raise UserError(f"{path} holds {column.null_count:,} rows without a vector", "Leave them out.")
        dimension = column.type.list_size if pa.types.is_fixed_size_list(column.type) else -1 if len(column) else 0
        lengths = np.unique(column.value_lengths().to_numpy(zero_copy_only=False)) if dimension < 1 else None
        if lengths is not None and len(lengths) > 1:
            raise UserError(f"{path} holds vectors of different lengths, {lengths[0]} to {lengths[-1]}")
        columns["vectors"] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), dimension)
    told = file.schema_arrow.metadata or {}
    columns["model"] = told.get(b"model", b"").decode()
    columns["flip"] = {b"True": True, b"False": False}.get(told.get(b"flip", b""))
    return columns


def _rows(file: pyarrow.parquet.ParquetFile, names: list[str], rows: tuple[int, int]) -> pyarrow.Table:
    sizes = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)], dtype=np.int64)
    begins = np.cumsum(sizes) - sizes
    groups = np.flatnonzero((begins + sizes > rows[0]) & (begins < rows[1])).tolist()
    return file.read_row_groups(groups, columns=names).slice(rows[0] - begins[groups[0]] if groups else 0, rows[1] - rows[0])


def _is_stated(path: Path, column: pyarrow.ChunkedArray, name: str, first: int) -> bool:
    """Whether a column, which begins with the file's row ``first``, has values. Raises ``UserError`` where only some of its rows have one."""
    if len(column) and column.null_count == len(column):
        return False
    if column.null_count:
        row = first + column.is_null().to_numpy().argmax()
        raise UserError(f"{path} holds no {name.removesuffix('s')} in row {row}", f"Rows are counted from 0; give every row one, or leave the column {name} out.")
    return True
