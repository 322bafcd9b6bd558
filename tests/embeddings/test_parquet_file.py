"""Embeddings in ``.parquet``."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl import embeddings
from reid_srdl.errors import UserError


def test_parquet_of_plain_lists_is_welcome(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [3.0, 4.0]], "labels": [5, 6]}), tmp_path / "x.parquet")
    loaded = embeddings.load(tmp_path / "x.parquet")
    assert loaded.vectors.tolist() == [[1, 2], [3, 4]] and loaded.labels.tolist() == [5, 6]
    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [3.0]]}), tmp_path / "ragged.parquet")
    with pytest.raises(UserError, match="different lengths"):
        embeddings.load(tmp_path / "ragged.parquet")


def test_names_as_bytes_are_names_and_no_rows_still_have_their_dimension(tmp_path: Path):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"vectors": [[1.0, 2.0]], "paths": pa.array(["ä.jpg".encode()], pa.binary())}), tmp_path / "x.parquet")
    assert embeddings.load(tmp_path / "x.parquet").paths == ("ä.jpg",)
    embeddings.save(embeddings.Embeddings(np.zeros((0, 8))), tmp_path / "none.parquet")
    assert embeddings.load(tmp_path / "none.parquet").vectors.shape == (0, 8)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_row_without_a_vector_is_no_reason_to_move_the_others(tmp_path: Path, fixed: bool):
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array([[1.0, 2.0, 3.0, 4.0], None, [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]], type=pa.list_(pa.float32(), 4 if fixed else -1))
    pq.write_table(pa.table({"vectors": column}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="holds 1 rows without a vector"):
        embeddings.load(tmp_path / "x.parquet")


@pytest.mark.parametrize(("name", "values"), [("paths", ["a.jpg", None, "c.jpg"]), ("labels", [1, None, 2]), ("cameras", [1, None, None])])
def test_what_is_not_known_of_an_image_is_made_up_of_none(tmp_path: Path, name: str, values: list):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    vectors = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    pq.write_table(pa.table({"vectors": vectors, name: values}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"x.parquet holds no {name[:-1]} in row 1.*leave the column {name} out"):
        embeddings.load(tmp_path / "x.parquet")
    pq.write_table(pa.table({"vectors": vectors, name: pa.array([None] * 3, pa.array(values).type)}), tmp_path / "none.parquet")
    assert getattr(embeddings.load(tmp_path / "none.parquet"), name) is None
