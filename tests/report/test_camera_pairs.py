"""Pairs of cameras against rankings of galleries from which the other cameras' matches were really taken."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.report import camera_pairs
from reid_srdl.report.evaluated import Evaluated, ranked


def made(same_camera: bool = False, seed: int = 0):
    """Twelve queries and sixty items on integer vectors, where ties are exact; distractors and junk are among them."""
    rng = np.random.default_rng(seed)
    gallery = Embeddings(rng.integers(0, 4, (60, 3)), labels=rng.integers(-1, 5, 60), cameras=rng.integers(1, 4, 60))
    query = Embeddings(rng.integers(0, 4, (12, 3)), labels=rng.integers(1, 5, 12), cameras=rng.integers(1, 4, 12))
    return ranked(query, gallery, same_camera=same_camera, device="cpu")


@pytest.mark.parametrize("same_camera", [False, True])
def test_each_cell_is_a_ranking_without_the_other_cameras_matches(same_camera):
    query, gallery, result, _ = found = made(same_camera)
    pairs = camera_pairs.camera_pairs(found)
    assert result.scores() == rank(query, gallery, same_camera=same_camera, device="cpu").scores()
    for row, a in enumerate(pairs.query_cameras):
        for column, b in enumerate(pairs.match_cameras):
            first, ap = [], []
            for one in np.flatnonzero(query.cameras == a):
                left = (gallery.labels != query.labels[one]) | (gallery.cameras == b)
                alone = rank(query.take(np.array([one])), gallery.take(left), same_camera=same_camera, device="cpu")
                first.append(alone.first[0]), ap.append(alone.ap[0])
            kept = np.isfinite(ap)
            assert pairs.queries[row, column] == kept.sum()
            if kept.any():
                assert pairs.rank1[row, column] == (np.array(first)[kept] == 1).mean()
                np.testing.assert_allclose(pairs.mAP[row, column], np.array(ap)[kept].mean())
            else:
                assert np.isnan(pairs.rank1[row, column]) and (a == b) == (not same_camera)


def test_positions_are_those_of_the_ranks():
    query, gallery, result, positions = made()
    of_query = np.repeat(np.arange(len(query)), np.diff(result.starts))
    assert (gallery.labels[positions] == query.labels[of_query]).all() and (gallery.cameras[positions] != query.cameras[of_query]).all()
    distances = ((gallery.vectors[positions] - query.vectors[of_query]) ** 2).sum(axis=1)
    same = of_query[1:] == of_query[:-1]
    assert (np.diff(distances)[same] >= 0).all() and len(set(zip(of_query, positions, strict=True))) == len(positions)


def test_the_section_shows_values_and_counts():
    found = made()
    pairs = camera_pairs.camera_pairs(found)
    html = camera_pairs.camera_pairs_section(Evaluated("people", {}, ranked=found))
    assert f"{100 * pairs.rank1[0, 1]:.1f}<small>{pairs.queries[0, 1]}</small>" in html and f"{100 * pairs.mAP[0, 1]:.1f}<small>" in html
    assert html.count("<td") == 18 and "re-ranking" not in html
    assert "without the expanded queries" in camera_pairs.camera_pairs_section(Evaluated("people", {"protocol": {"expand": 3}}, ranked=found))


def test_no_cameras_and_too_many():
    query, gallery, *_ = made()
    bare = [Embeddings(part.vectors, labels=part.labels) for part in (query, gallery)]
    assert camera_pairs.camera_pairs(ranked(*bare, same_camera=True, device="cpu")) is None
    assert camera_pairs.camera_pairs_section(None) == ""
    cameras = np.arange(20)
    crowd = Embeddings(np.eye(20), labels=np.ones(20, dtype=int), cameras=cameras)
    html = camera_pairs.camera_pairs_section(Evaluated("people", {}, ranked=ranked(crowd, crowd, device="cpu")))
    assert "Of 20 cameras these are the 16" in html and html.count('<th scope="row">') == 32


def test_the_hardest_and_the_easiest_pair_are_of_those_with_enough_queries():
    cameras, queries = np.array([1, 2]), np.array([[50, camera_pairs.ENOUGH - 1], [camera_pairs.ENOUGH, 50]])
    pairs = camera_pairs.CameraPairs(cameras, cameras, queries, np.array([[0.9, 0.0], [0.5, 0.7]]), np.zeros((2, 2)))
    assert "lowest from camera 2 to 1, 50.0 %, and highest from camera 1 to 1, 90.0 % (" in camera_pairs._extremes(pairs)
