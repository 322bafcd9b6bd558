"""What all kinds of file have in common."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize("change", [{"model": "another"}, {"flip": True}, {"labels": None}])
def test_pieces_of_two_kinds_make_no_file(tmp_path: Path, change, some):
    with pytest.raises(ValueError, match="pieces of one file"):
        embeddings.write(tmp_path / "x.npz", iter([some(), dataclasses.replace(some(), **change)]))
    assert not list(tmp_path.iterdir())
