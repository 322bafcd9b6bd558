"""The faiss engine against ``rank``."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.faiss_ranking import rank_with_faiss


def people(seed: int, vectors) -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(seed)
    return tuple(
        Embeddings(vectors(rng, count), labels=rng.integers(lowest, highest, count), cameras=rng.integers(1, 4, count))
        for count, lowest, highest in ((40, 1, 12), (300, -1, 10))
    )


@pytest.mark.parametrize("piece", [None, 64, 299])
@pytest.mark.parametrize("same_camera", [False, True])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_equal_to_rank(metric, same_camera, piece, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("reid_srdl.evaluation.faiss_ranking._BLOCK_BYTES", 12 * 300 * 7)  # blocks of seven queries
    query, gallery = people(0, lambda rng, count: rng.standard_normal((count, 16)))
    found = rank_with_faiss(query, gallery, metric=metric, same_camera=same_camera, piece=piece)
    expected = rank(query, gallery, metric=metric, same_camera=same_camera, device="cpu")
    np.testing.assert_array_equal(found.starts, expected.starts)
    np.testing.assert_array_equal(found.ranks, expected.ranks)
    assert found.unmatched == expected.unmatched > 0
    np.testing.assert_equal(found.scores(), expected.scores())


def test_without_faiss_the_way_to_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"pip install 'reid-srdl\[cpu\]'.*reid-srdl\[gpu\]"):
        rank_with_faiss(*people(0, lambda rng, count: rng.standard_normal((count, 4))))


def test_labels_are_needed():
    with pytest.raises(UserError, match="gallery vectors have no labels"):
        rank_with_faiss(Embeddings(np.ones((1, 2)), labels=[1], cameras=[1]), Embeddings(np.ones((1, 2))))
