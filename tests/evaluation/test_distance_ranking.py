"""Ranks from distances: those of the exact ranking where the distances are its own."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
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
    whole = rank_distances(query, gallery, distances, same_camera=same_camera)
    assert np.array_equal(whole.starts, found.starts) and np.array_equal(whole.ranks, found.ranks)
    assert np.array_equal(found.starts, expected.starts) and np.array_equal(found.ranks, expected.ranks) and found.mAP == expected.mAP


def test_a_query_without_a_match_is_none():
    query = Embeddings(np.zeros((1, 2)), None, np.array([4]), np.array([1]), "")
    gallery = Embeddings(np.zeros((2, 2)), None, np.array([4, 5]), np.array([1, 2]), "")
    assert rank_distances(query, gallery, [(slice(0, 1), np.zeros((1, 2)))]).unmatched == 1


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros((3, 5)), r"distances of shape \(3, 5\) are not those of queries 0 to 3 and 4 gallery items"),
        (np.zeros((4, 3)), r"distances of shape \(4, 3\) are not those"),
        ([(slice(0, 2), np.zeros((2, 4)))], "distances of 2 of 3 queries"),
        ([(slice(0, 2), np.zeros((2, 4))), (slice(0, 1), np.zeros((1, 4)))], "are not those of queries 2 to 1"),
        (np.array([[0.0] * 4, [0, np.nan, 0, 0], [0] * 4]), "a distance of query 1 is NaN"),
    ],
)
def test_distances_that_are_not_those_of_all_pairs(distances, message):
    query, gallery = (Embeddings(np.zeros((count, 2)), labels=np.ones(count), cameras=np.full(count, camera)) for count, camera in ((3, 1), (4, 2)))
    with pytest.raises(UserError, match=message):
        rank_distances(query, gallery, distances)


def test_what_is_not_known_of_the_images_is_named():
    known = Embeddings(np.zeros((2, 2)), labels=[1, 1], cameras=[1, 2])
    with pytest.raises(UserError, match="gallery vectors have no labels"):
        rank_distances(known, Embeddings(np.zeros((2, 2))), np.zeros((2, 2)))
    with pytest.raises(UserError, match="the query is of type ndarray"):
        rank_distances(np.zeros((2, 2)), known, np.zeros((2, 2)))


def test_a_query_that_is_a_distractor_matches_nobody():
    query = Embeddings(np.zeros((1, 2)), None, np.array([0]), np.array([1]), "")
    gallery = Embeddings(np.zeros((2, 2)), None, np.array([0, 5]), np.array([2, 2]), "")
    assert rank_distances(query, gallery, [(slice(0, 1), np.zeros((1, 2)))]).unmatched == rank(query, gallery, device="cpu").unmatched == 1
