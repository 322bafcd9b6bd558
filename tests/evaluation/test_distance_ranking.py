"""Ranks from distances: those of the exact ranking where the distances are its own."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.distance_ranking import rank_distances


@pytest.mark.parametrize("same_camera", [False, True])
def test_the_ranks_are_those_of_rank(same_camera):
    rng = np.random.default_rng(1)

    def some(count: int, low: int) -> Embeddings:
        # Small whole numbers: distances are exact, and many are equal.
        return Embeddings(rng.integers(0, 3, (count, 4)).astype(np.float32), None, rng.integers(low, 6, count), rng.integers(1, 4, count), "")

    query, gallery = some(25, 1), some(120, -1)
    distances = ((query.vectors[:, None] - gallery.vectors[None]) ** 2).sum(axis=2)
    blocks = [(slice(start, min(start + 7, 25)), distances[start : start + 7]) for start in range(0, 25, 7)]
    found, expected = rank_distances(query, gallery, blocks, same_camera=same_camera), rank(query, gallery, same_camera=same_camera, device="cpu")
    assert np.array_equal(found.starts, expected.starts) and np.array_equal(found.ranks, expected.ranks) and found.mAP == expected.mAP


def test_a_query_without_a_match_is_none():
    query = Embeddings(np.zeros((1, 2)), None, np.array([4]), np.array([1]), "")
    gallery = Embeddings(np.zeros((2, 2)), None, np.array([4, 5]), np.array([1, 2]), "")
    assert rank_distances(query, gallery, [(slice(0, 1), np.zeros((1, 2)))]).unmatched == 1
