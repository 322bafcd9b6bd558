"""Embeddings and their files."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reid_srdl import embeddings
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError


def some(rows: int = 5, dimension: int = 3) -> Embeddings:
    vectors = np.arange(rows * dimension, dtype=np.float32).reshape(rows, dimension)
    return Embeddings(vectors, tuple(f"a/ü{row}.jpg" for row in range(rows)), np.arange(rows) - 1, np.arange(rows) % 2, "abc")


def assert_same(one: Embeddings, other: Embeddings) -> None:
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert one.vectors.dtype == other.vectors.dtype == np.float32
    assert (one.paths, one.model) == (other.paths, other.model)
    for column in ("labels", "cameras"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_files_hand_back_what_they_were_given(tmp_path: Path, suffix: str):
    embeddings.save(some(), tmp_path / f"x{suffix}")
    assert_same(embeddings.load(tmp_path / f"x{suffix}"), some())
    bare = Embeddings(some().vectors)
    embeddings.save(bare, tmp_path / f"bare{suffix}")
    loaded = embeddings.load(tmp_path / f"bare{suffix}")
    assert loaded.labels is None and loaded.cameras is None and loaded.paths is None and loaded.model == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"bare{suffix}", f"x{suffix}"]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_pieces_make_one_file(tmp_path: Path, suffix: str):
    whole = some()
    rows = embeddings.write(tmp_path / f"x{suffix}", iter([whole.take(np.array([0, 1])), whole.take(np.array([2])), whole.take(np.array([3, 4]))]))
    assert rows == 5
    assert_same(embeddings.load(tmp_path / f"x{suffix}"), whole)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, suffix: str):
    def pieces():
        yield some()
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        embeddings.write(tmp_path / f"x{suffix}", pieces())
    assert not list(tmp_path.iterdir())


def test_plain_numpy_files_are_welcome(tmp_path: Path):
    np.savez_compressed(tmp_path / "x.npz", vectors=np.ones((2, 3)), labels=np.array([1.0, 2.0]))
    loaded = embeddings.load(tmp_path / "x.npz")
    assert loaded.vectors.dtype == np.float32 and loaded.labels.tolist() == [1, 2] and loaded.labels.dtype == np.int64


def test_parquet_of_plain_lists_is_welcome(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [3.0, 4.0]], "labels": [5, 6]}), tmp_path / "x.parquet")
    loaded = embeddings.load(tmp_path / "x.parquet")
    assert loaded.vectors.tolist() == [[1, 2], [3, 4]] and loaded.labels.tolist() == [5, 6]
    pq.write_table(pa.table({"vectors": [[1.0, 2.0], [3.0]]}), tmp_path / "ragged.parquet")
    with pytest.raises(UserError, match="different lengths"):
        embeddings.load(tmp_path / "ragged.parquet")


@pytest.mark.parametrize("fixed", [False, True])
def test_a_row_without_a_vector_is_no_reason_to_move_the_others(tmp_path: Path, fixed: bool):
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array([[1.0, 2.0, 3.0, 4.0], None, [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0]], type=pa.list_(pa.float32(), 4 if fixed else -1))
    pq.write_table(pa.table({"vectors": column}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="holds 1 rows without a vector"):
        embeddings.load(tmp_path / "x.parquet")


def test_paths_in_bytes_are_those_of_the_file_system():
    assert Embeddings(np.ones((1, 2)), paths=(b"caf\xc3\xa9.jpg",)).paths == ("café.jpg",)


def test_vectors_of_no_numbers_are_none():
    with pytest.raises(UserError, match="are no embeddings"):
        Embeddings(np.ones((3, 0)))


def test_what_is_not_finite_is_named_by_row_and_path():
    vectors = some().vectors.copy()
    vectors[3, 1] = np.nan
    with pytest.raises(UserError, match=re.escape("row 3 (a/ü3.jpg)")):
        Embeddings(vectors, some().paths)
    with pytest.raises(UserError, match="row 0"):
        Embeddings(np.array([[1e300]]))  # too large for float32


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vectors": np.zeros(3)}, "no embeddings"),
        ({"vectors": np.array([["a"]])}, "no embeddings"),
        ({"vectors": np.zeros((2, 3)), "labels": np.zeros(3, int)}, "2 vectors, but labels"),
        ({"vectors": np.zeros((2, 3)), "labels": np.array(["a", "b"])}, "not whole numbers"),
        ({"vectors": np.zeros((2, 3)), "cameras": np.array([1.5, 2])}, "not whole numbers"),
        ({"vectors": np.zeros((2, 3)), "paths": ("a",)}, "1 paths"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(UserError, match=message):
        Embeddings(**columns)


def test_take_keeps_rows_together():
    taken = some().take(np.array([False, True, False, True, False]))
    assert taken.paths == ("a/ü1.jpg", "a/ü3.jpg") and taken.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(taken.vectors, some().vectors[[1, 3]])


def test_a_memory_mapped_array_is_not_copied(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.ones((4, 2), np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(Embeddings(mapped).vectors, mapped)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", vectors=np.array([[Evil()]], dtype=object))
    with pytest.raises(UserError, match="never unpickled"):
        embeddings.load("x.npz")
    assert not Path("pwned").exists()


def test_bad_files_are_named(tmp_path: Path):
    embeddings.save(some(), tmp_path / "x.npz")
    (tmp_path / "short.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:200])
    (tmp_path / "text.parquet").write_text("hello")
    np.savez(tmp_path / "other.npz", features=np.ones((2, 2)))
    for name, message in {
        "short.npz": "no .npz archive", "text.parquet": "cannot be read", "gone.npz": "no file", "x.csv": "known kinds", "other.npz": "no vectors",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message) as raised:
            embeddings.load(tmp_path / name)
        assert name in str(raised.value)
    with pytest.raises(UserError, match="known kinds"):
        embeddings.save(some(), tmp_path / "x.csv")


def test_a_header_that_lies_about_its_size_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("vectors.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    with pytest.raises(UserError, match=r"x\.npz"):
        embeddings.load(tmp_path / "x.npz")


def result_file(path: Path, **changes) -> None:
    values = {
        "query_f": np.ones((2, 3)), "query_label": np.array([[1, 2]]), "query_cam": np.array([[1, 1]]),
        "gallery_f": np.arange(12.0).reshape(4, 3), "gallery_label": np.array([[1, 2, 0, -1]]), "gallery_cam": np.array([[1, 2, 3, 4]]),
    }  # fmt: skip
    scipy.io.savemat(path, {name: value for name, value in (values | changes).items() if value is not None})


def test_the_fields_result_file(tmp_path: Path):
    result_file(tmp_path / "x.mat")
    query, gallery = embeddings.load_pair([tmp_path / "x.mat"])
    assert query.labels.tolist() == [1, 2] and gallery.labels.tolist() == [1, 2, 0, -1] and gallery.cameras.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(gallery.vectors, np.arange(12).reshape(4, 3))
    result_file(tmp_path / "t.mat", gallery_f=np.arange(12.0).reshape(4, 3).T)
    np.testing.assert_array_equal(embeddings.load_result_mat(tmp_path / "t.mat")[1].vectors, gallery.vectors)


def test_result_files_that_cannot_be_used(tmp_path: Path):
    result_file(tmp_path / "x.mat", query_cam=None)
    with pytest.raises(UserError, match="lacks query_cam"):
        embeddings.load_result_mat(tmp_path / "x.mat")
    (tmp_path / "y.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="cannot be read"):
        embeddings.load_result_mat(tmp_path / "y.mat")


def test_a_pair_must_fit(tmp_path: Path):
    embeddings.save(some(dimension=3), tmp_path / "q.npz")
    embeddings.save(some(dimension=4), tmp_path / "g.npz")
    with pytest.raises(UserError, match="3 numbers"):
        embeddings.load_pair([tmp_path / "q.npz", tmp_path / "g.npz"])
    with pytest.raises(UserError, match="Give two"):
        embeddings.load_pair([tmp_path / "q.npz"])
