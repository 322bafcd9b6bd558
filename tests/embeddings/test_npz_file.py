"""Embeddings in ``.npz``."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import embeddings
from reid_srdl.errors import UserError


def test_plain_numpy_files_are_welcome(tmp_path: Path):
    np.savez_compressed(tmp_path / "x.npz", vectors=np.ones((2, 3)), labels=np.array([1.0, 2.0]))
    loaded = embeddings.load(tmp_path / "x.npz")
    assert loaded.vectors.dtype == np.float32 and loaded.labels.tolist() == [1, 2] and loaded.labels.dtype == np.int64


@pytest.mark.parametrize("name", ["labels", "cameras", "paths"])
@pytest.mark.parametrize("length", [3, 5])
def test_columns_of_another_length_than_the_vectors_are_refused_by_rows_too(tmp_path: Path, name: str, length: int):
    for order in "CF":
        np.savez(tmp_path / "x.npz", vectors=np.ones((4, 3), order=order), **{name: np.arange(length).astype(str if name == "paths" else int)})
        for rows in (None, (0, 4), (1, 2)):
            with pytest.raises(UserError, match=f"4 vectors, but .*{name if rows else ''}"):
                embeddings.load(tmp_path / "x.npz", rows)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", vectors=np.array([[Evil()]], dtype=object))
    for rows in (None, (0, 1)):
        with pytest.raises(UserError, match="never unpickled"):
            embeddings.load("x.npz", rows)
    assert not Path("pwned").exists()


def test_a_header_that_lies_about_its_size_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("vectors.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    with pytest.raises(UserError, match=r"x\.npz"):
        embeddings.load(tmp_path / "x.npz")


def test_a_file_that_is_shorter_than_its_header_says_is_refused_where_it_ends(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("vectors.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10, 2)})
        member.write(np.ones((6, 2), np.float32).tobytes())
    assert embeddings.load(tmp_path / "x.npz", (2, 6)).vectors.tolist() == [[1, 1]] * 4
    for rows in (None, (4, 8), (8, 10)):
        with pytest.raises(UserError, match=r"x\.npz cannot be read"):
            embeddings.load(tmp_path / "x.npz", rows)


@pytest.mark.parametrize("damaged", [0, 3, 9])
def test_damage_is_noticed_also_in_rows_that_are_not_asked_for(tmp_path: Path, damaged: int, some, monkeypatch):
    monkeypatch.setattr("reid_srdl.embeddings.npz_file._PIECE", 7)
    embeddings.save(some(rows=10), tmp_path / "x.npz")
    contents = bytearray((tmp_path / "x.npz").read_bytes())
    contents[contents.index(some(rows=10).vectors[damaged].tobytes())] ^= 4
    (tmp_path / "y.npz").write_bytes(contents)
    assert len(embeddings.load(tmp_path / "x.npz", (2, 5))) == 3
    with pytest.raises(UserError, match=r"y\.npz cannot be read .*CRC"):
        embeddings.load(tmp_path / "y.npz", (2, 5))


@pytest.mark.parametrize("stored", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("array", [np.arange(12.0).reshape(4, 3), np.asfortranarray(np.arange(12).reshape(4, 3)), np.arange(12, dtype=np.float16).reshape(4, 3)])
def test_rows_of_anybodys_arrays_can_be_read_alone(tmp_path: Path, stored, array):
    stored(tmp_path / "x.npz", vectors=array, labels=np.arange(4.0), paths=np.array(["a", "bc", "ü", "d"]))
    read = embeddings.load(tmp_path / "x.npz", (1, 3))
    assert read.vectors.tolist() == [[3, 4, 5], [6, 7, 8]] and read.labels.tolist() == [1, 2] and read.paths == ("bc", "ü")


def test_the_vectors_of_a_private_file_wait_in_private(tmp_path: Path, some):
    path = tmp_path / "x.npz"
    embeddings.save(some(), path)
    path.chmod(0o600)
    modes = {}

    def pieces():
        yield some()
        modes.update((file.suffix, file.stat().st_mode & 0o777) for file in tmp_path.glob(".x.npz.*"))
        yield some()

    embeddings.write(path, pieces())
    assert modes.pop(".lock") and modes == {".npz": 0o600, ".vectors": 0o600}
    assert len(embeddings.load(path)) == 10
