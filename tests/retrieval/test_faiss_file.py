"""The file of a faiss index: damage is found wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, faiss_file, open_index

from .conftest import embedded


@pytest.fixture
def path(tmp_path):
    create_index(tmp_path / "gallery.index", embedded(50))
    return tmp_path / "gallery.index"


def test_what_is_written_is_read(path):
    shown = []
    index, rows, description = faiss_file.read(path, shown.append)
    assert index.ntotal == len(rows) == 50 and shown == [description] and description["model"] == embedded(1).model
    np.testing.assert_array_equal(index.reconstruct_n(0, 50), embedded(50).vectors)


def test_every_byte_counts(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    # The start says what kind of file it is; of the rest any place, and the last bytes for certain.
    for place in [*rng.integers(16, len(whole), 60).tolist(), len(whole) - 1, len(whole) - 17, len(whole) - 25]:
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="is damaged"):
            open_index(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: max(20, int(len(whole) * share))])
    with pytest.raises(UserError, match="it is truncated"):
        open_index(path)
    path.write_bytes(whole)
    assert len(open_index(path)) == 50


def test_what_faiss_does_not_read_is_damaged_though_its_checksums_fit(path, monkeypatch):
    def refuses(reader):
        raise RuntimeError("Error in read_index: no such kind")

    monkeypatch.setattr(faiss_file.load_faiss(), "read_index", refuses)
    with pytest.raises(UserError, match=r"is damaged.*faiss does not read it \(Error in read_index"):
        open_index(path)
