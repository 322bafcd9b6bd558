"""What all kinds of file have in common."""

from __future__ import annotations

import contextlib
import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io

from reid_srdl import embeddings
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError


def assert_same(one: Embeddings, other: Embeddings) -> None:
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert one.vectors.dtype == other.vectors.dtype == np.float32
    assert (one.paths, one.model) == (other.paths, other.model)
    for column in ("labels", "cameras"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_files_hand_back_what_they_were_given(tmp_path: Path, suffix: str, some):
    embeddings.save(some(), tmp_path / f"x{suffix}")
    assert_same(embeddings.load(tmp_path / f"x{suffix}"), some())
    bare = Embeddings(some().vectors)
    embeddings.save(bare, tmp_path / f"bare{suffix}")
    loaded = embeddings.load(tmp_path / f"bare{suffix}")
    assert loaded.labels is None and loaded.cameras is None and loaded.paths is None and loaded.model == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"bare{suffix}", f"x{suffix}"]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("flip", [None, False, True])
def test_whether_mirror_images_are_in_them_stays_known(tmp_path: Path, suffix: str, flip: bool | None, some):
    embeddings.save(dataclasses.replace(some(), flip=flip), tmp_path / f"x{suffix}")
    assert embeddings.load(tmp_path / f"x{suffix}").flip is flip


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_pieces_make_one_file(tmp_path: Path, suffix: str, some):
    whole = some()
    rows = embeddings.write(tmp_path / f"x{suffix}", iter([whole.take(np.array([0, 1])), whole.take(np.array([2])), whole.take(np.array([3, 4]))]))
    assert rows == 5
    assert_same(embeddings.load(tmp_path / f"x{suffix}"), whole)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("rows", [(0, 5), (0, 2), (1, 4), (2, 3), (4, 5), (0, 0), (3, 3), (5, 5)])
def test_some_rows_of_a_file_are_read_alone(tmp_path: Path, suffix: str, rows, some):
    pieces = [some().take(np.array(few)) for few in ([0, 1], [2], [3, 4])]  # pieces are row groups of a table
    embeddings.write(tmp_path / f"x{suffix}", iter(pieces))
    read = embeddings.load(tmp_path / f"x{suffix}", rows)
    if len(read):  # a table without rows says nothing of its columns
        assert_same(read, some().take(np.arange(*rows)))
    assert len(read) == rows[1] - rows[0]


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_bad_vector_among_some_rows_is_found_in_the_file(tmp_path: Path, suffix: str, some):
    bad = some()
    bad.vectors[3, 1] = np.nan
    embeddings.save(bad, tmp_path / f"x{suffix}")
    assert len(embeddings.load(tmp_path / f"x{suffix}", (0, 3))) == 3
    with pytest.raises(UserError, match=rf"x{suffix}, from its row 2 on: the vector in row 1 \(a/ü3.jpg\)"):
        embeddings.load(tmp_path / f"x{suffix}", (2, 4))


USUAL = pyarrow.default_memory_pool()
COUNTED = pyarrow.proxy_memory_pool(USUAL)
"""Counts what Arrow allocates by it, whatever was allocated before. It must outlive the arrays, which lie in it."""


@contextlib.contextmanager
def arrow_memory():
    pyarrow.set_memory_pool(COUNTED)
    try:
        yield COUNTED
    finally:
        pyarrow.set_memory_pool(USUAL)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_rows_that_are_not_asked_for_take_no_memory(tmp_path: Path, suffix: str):
    pieces = 40
    size = 4 * 1000 * 250
    embeddings.write(tmp_path / f"x{suffix}", (Embeddings(np.full((1000, 250), number, np.float32)) for number in range(pieces)))
    tracemalloc.start()  # NumPy's arrays and Python's bytes; Arrow's own memory is asked for below
    try:
        with arrow_memory() as arrow:
            read = embeddings.load(tmp_path / f"x{suffix}", (20_500, 21_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (read.vectors == 20).all() and peak < 4 * size, f"{peak:,} of {pieces * size:,} bytes"
    if suffix == ".parquet":
        assert size <= arrow.max_memory() < pieces * size / 2, "a row group is read, and not the table"


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, suffix: str, some):
    def pieces():
        yield some()
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError):
        embeddings.write(tmp_path / f"x{suffix}", pieces())
    assert not list(tmp_path.iterdir())


def test_bad_files_are_named(tmp_path: Path, some):
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


def test_a_pair_must_fit(tmp_path: Path, some):
    embeddings.save(some(dimension=3), tmp_path / "q.npz")
    embeddings.save(some(dimension=4), tmp_path / "g.npz")
    with pytest.raises(UserError, match="3 numbers"):
        embeddings.load_pair([tmp_path / "q.npz", tmp_path / "g.npz"])
    with pytest.raises(UserError, match="Give two"):
        embeddings.load_pair([tmp_path / "q.npz"])


def own_of(rank: int, world: int):
    return lambda count: (rank * count // world, (rank + 1) * count // world)


@pytest.mark.parametrize("world", [1, 2, 3, 9])
def test_a_gallery_in_parts_is_one_and_each_process_reads_its_own_rows(tmp_path: Path, world: int, some):
    whole = some(rows=7)
    embeddings.save(some(rows=2), tmp_path / "query.npz")
    parts = [tmp_path / name for name in ("g-1.npz", "g-2.parquet", "g-3.npz")]
    for path, rows in zip(parts, ([0, 1, 2], [3], [4, 5, 6]), strict=True):
        embeddings.save(whole.take(np.array(rows)), path)
    found = [embeddings.load_pair([tmp_path / "query.npz", *parts], own_of(rank, world)) for rank in range(world)]
    assert all(len(query) == 2 for query, _ in found)
    assert all(gallery.dimension == 3 for _, gallery in found)
    assert_same(embeddings.joined([gallery for _, gallery in found if len(gallery)]), whole)
    shares = [len(gallery) for _, gallery in found]
    assert sum(shares) == 7 and max(shares) - min(shares) <= 1


def test_a_process_does_not_read_files_that_hold_nothing_of_its_share(tmp_path: Path, some):
    embeddings.save(some(), tmp_path / "a.npz")
    spoilt = some()
    spoilt.vectors[0, 0] = np.inf
    embeddings.save(spoilt, tmp_path / "b.npz")
    paths = [tmp_path / "a.npz", tmp_path / "a.npz", tmp_path / "b.npz"]
    assert_same(embeddings.load_pair(paths, own_of(0, 2))[1], some())
    with pytest.raises(UserError, match="b.npz"):
        embeddings.load_pair(paths, own_of(1, 2))


def test_a_result_file_is_shared_out_too(tmp_path: Path, some):
    scipy.io.savemat(
        tmp_path / "x.mat",
        {f"{part}_{name}": values for part in ("query", "gallery") for name, values in (("f", some().vectors), ("label", some().labels), ("cam", some().cameras))},
    )
    query, gallery = embeddings.load_pair([tmp_path / "x.mat"], own_of(1, 2))
    assert len(query) == 5 and gallery.vectors.tolist() == some().vectors[2:].tolist()


def test_parts_of_a_gallery_must_be_alike(tmp_path: Path, some):
    embeddings.save(some(), tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", features=np.ones((5, 3)))
    pyarrow.parquet.write_table(pyarrow.table({"features": [1.0]}), tmp_path / "b.parquet")
    for name in ("b.npz", "b.parquet"):
        with pytest.raises(UserError, match=f"{name} holds no vectors but"):
            embeddings.load_pair([tmp_path / "a.npz", tmp_path / "a.npz", tmp_path / name])
    embeddings.save(dataclasses.replace(some(), cameras=None), tmp_path / "b.npz")
    with pytest.raises(UserError, match="b.npz has no cameras, and .*a.npz has"):
        embeddings.load_pair([tmp_path / name for name in ("a.npz", "b.npz", "a.npz")])
    embeddings.save(dataclasses.replace(some(), model="other"), tmp_path / "b.npz")
    with pytest.raises(UserError, match="different networks"):
        embeddings.load_pair([tmp_path / name for name in ("a.npz", "a.npz", "b.npz")])


@pytest.mark.parametrize("change", [{"model": "another"}, {"flip": True}, {"labels": None}])
def test_pieces_of_two_kinds_make_no_file(tmp_path: Path, change, some):
    with pytest.raises(ValueError, match="pieces of one file"):
        embeddings.write(tmp_path / "x.npz", iter([some(), dataclasses.replace(some(), **change)]))
    assert not list(tmp_path.iterdir())
