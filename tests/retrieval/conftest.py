"""Galleries of few numbers, in each backend."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.retrieval import Index, create_index, open_index
from reid_srdl.retrieval.milvus_journal import journal_of

MODEL = "a" * 64
DIMENSION = 16

HAS_MILVUS = bool(importlib.util.find_spec("pymilvus") and importlib.util.find_spec("milvus_lite"))
needs_milvus = pytest.mark.skipif(not HAS_MILVUS, reason="pymilvus is not installed")


def embedded(rows: int, *, first: int = 0, seed: int = 0, model: str = MODEL, junk: int = 0) -> Embeddings:
    """``first.jpg`` and on, of cameras 1 to 3; the last ``junk`` are of label -1. Names hold what queries have to quote."""
    rng = np.random.default_rng([seed, first])
    labels = np.arange(first, first + rows) % 7
    labels[rows - junk :] = -1
    return Embeddings(
        rng.standard_normal((rows, DIMENSION), dtype=np.float32),
        paths=[f"it's \"{row}\".jpg" for row in range(first, first + rows)], labels=labels, cameras=1 + np.arange(rows) % 3, model=model,
    )  # fmt: skip


def nearest(queries: np.ndarray, gallery: Embeddings, count: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Paths ``(Q, count)`` by the definition."""
    rows = np.arange(len(gallery)) if mask is None else np.flatnonzero(mask)
    far = ((queries[:, None].astype(np.float64) - gallery.vectors[rows]) ** 2).sum(axis=2)
    return np.array(gallery.paths, dtype=object)[rows[np.argsort(far, axis=1, kind="stable")[:, :count]]]


@pytest.fixture(params=["faiss", pytest.param("milvus", marks=needs_milvus)])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def build(backend: str, tmp_path: Path):
    """Builds an index of embeddings in ``tmp_path``; all are closed at the end."""
    made: list[Index] = []

    def built(embeddings: Embeddings, name: str = "gallery.index", **options) -> Index:
        index, _ = create_index(tmp_path / name, embeddings, backend=backend, **options)
        made.append(index)
        return index

    yield built
    for index in made:
        index.close()


Build = Callable[..., Index]


class Killed(BaseException):
    """What a process that is killed does not live to see."""


# --- an index in a Milvus ------------------------------------------------------------------------------------------------


MILVUS_QUERIES = np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)


@pytest.fixture
def milvus_path(tmp_path, monkeypatch):
    monkeypatch.setattr("reid_srdl.retrieval.milvus_collection._MESSAGE_BYTES", 5000)  # eight rows a message
    create_index(tmp_path / "g.index", embedded(30), backend="milvus")[0].close()
    return tmp_path / "g.index"


def killed_after(calls: int, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> None:
    """The function dies when it is called once more than that."""
    real, left = getattr(target, name), [calls]

    def dying(*args, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(*args, **options)

    monkeypatch.setattr(target, name, dying)


def holds(path, gallery) -> None:
    """Asserts that the index answers as its gallery does by the definition, and that nothing is left to be undone."""
    index = open_index(path)
    try:
        assert len(index) == len(gallery)
        np.testing.assert_array_equal(index.search(MILVUS_QUERIES, 6).paths, nearest(MILVUS_QUERIES, gallery, 6))
        assert not journal_of(path).exists()
    finally:
        index.close()
