"""The rule match / junk / neither."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.data import matches
from reid_srdl.data.matches import IGNORED, MATCH, NEITHER


def test_each_kind_of_gallery_item():
    #            another camera, own camera, another person, distractor, junk, junk of another camera
    labels, cameras = np.array([7, 7, 8, 0, -1, -1]), np.array([2, 1, 1, 1, 1, 2])
    assert matches.states([7], [1], labels, cameras).tolist() == [[MATCH, IGNORED, NEITHER, NEITHER, IGNORED, IGNORED]]
    assert matches.states([7], [1], labels, cameras, same_camera=True).tolist() == [[MATCH, MATCH, NEITHER, NEITHER, IGNORED, IGNORED]]


def test_distractors_and_junk_match_nothing_even_as_queries():
    states = matches.states([0, -1], [1, 1], np.array([0, -1, 0]), np.array([2, 2, 1]))
    assert states.tolist() == [[NEITHER, IGNORED, NEITHER]] * 2
    assert states.dtype == np.uint8


@pytest.mark.parametrize("same_camera", [False, True])
def test_counts_are_the_row_sums_of_states(same_camera):
    rng = np.random.default_rng(0)
    query, gallery = rng.integers(-1, 9, 60), rng.integers(-1, 9, 300)
    query_cameras, gallery_cameras = rng.integers(1, 4, 60), rng.integers(1, 4, 300)
    states = matches.states(query, query_cameras, gallery, gallery_cameras, same_camera=same_camera)
    counts = matches.count(query, query_cameras, gallery, gallery_cameras, same_camera=same_camera)
    np.testing.assert_array_equal(counts.matches, (states == MATCH).sum(1))
    np.testing.assert_array_equal(counts.ignored, (states == IGNORED).sum(1))
    np.testing.assert_array_equal(counts.same_camera, ((states == IGNORED) & (gallery != -1)).sum(1))


def test_why_unmatched_tells_the_reasons_apart():
    #  query 1 has a match, query 2 only its own camera, queries 3 and 4 nobody
    counts = matches.count([1, 2, 3, 4], [1, 1, 1, 1], [1, 2, 2, -1], [2, 1, 1, 2])
    assert matches.why_unmatched(counts) == (
        "3 of 4 queries have no valid match: for 1 the gallery shows the person from the query's own camera alone "
        "(--ignore_camera lets such images count), and for 2 the person is not in the gallery at all"
    )
    assert matches.why_unmatched(matches.count([1], [1], [1], [2])) == ""
    assert "not in the gallery" not in matches.why_unmatched(matches.count([2], [1], [2], [1]))
