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


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("pwned"),)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", vectors=np.array([[Evil()]], dtype=object))
    with pytest.raises(UserError, match="never unpickled"):
        embeddings.load("x.npz")
    assert not Path("pwned").exists()


def test_a_header_that_lies_about_its_size_is_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("vectors.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 1 << 20)})
    with pytest.raises(UserError, match=r"x\.npz"):
        embeddings.load(tmp_path / "x.npz")


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
