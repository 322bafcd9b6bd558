"""Ranked lists."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation.flat_index import FlatIndex
from reid_srdl.evaluation.neighbours import neighbours

pytest.importorskip("faiss")

QUERY = Embeddings([[0.0, 0.0]], labels=[7], cameras=[1])
#            nearest: own camera, junk, then a match, two at the same place, a distractor
GALLERY = Embeddings([[1.0, 0], [2, 0], [3, 0], [0, 4], [4, 0], [5, 0]], labels=[7, -1, 7, 8, 9, 0], cameras=[1, 2, 2, 1, 1, 1])


def test_what_does_not_exist_for_the_query_is_left_out():
    found = neighbours(QUERY, GALLERY, 3)
    assert found.positions.tolist() == [[2, 3, 4]] and found.distances.tolist() == [[9, 16, 16]]
    assert neighbours(QUERY, GALLERY, 2, same_camera=True).positions.tolist() == [[0, 2]]


def test_fewer_items_than_asked_for():
    found = neighbours(QUERY, GALLERY, 6)
    assert found.positions.tolist() == [[2, 3, 4, 5, -1, -1]] and np.isinf(found.distances[0, 4:]).all()


def test_unlabelled_items_all_exist():
    assert neighbours(QUERY, Embeddings(GALLERY.vectors), 2).positions.tolist() == [[0, 1]]


def test_cosine_distances():
    found = neighbours(Embeddings([[2.0, 0]]), Embeddings([[0.0, 3], [5, 0], [-1, 0]]), 3, metric="cosine")
    assert found.positions.tolist() == [[1, 0, 2]] and found.distances[0] == pytest.approx([0, 1, 2])


def test_equal_distances_are_in_the_gallery_s_order_whatever_order_they_are_found_in(monkeypatch):
    class Backwards(FlatIndex):
        def search(self, queries, count):
            return tuple(np.flip(found, axis=1) for found in super().search(queries, count))

    monkeypatch.setattr("reid_srdl.evaluation.neighbours.FlatIndex", Backwards)
    assert neighbours(QUERY, GALLERY, 3).positions.tolist() == [[2, 3, 4]]


def test_every_query_of_many_blocks(monkeypatch):
    monkeypatch.setattr("reid_srdl.evaluation.neighbours._BLOCK_BYTES", 1000)
    rng = np.random.default_rng(0)
    query, gallery = (
        Embeddings(rng.standard_normal((count, 5)), labels=rng.integers(1, 6, count), cameras=rng.integers(1, 3, count)) for count in (30, 90)
    )
    found = neighbours(query, gallery, 4)
    for row in range(30):
        exists = (gallery.labels != query.labels[row]) | (gallery.cameras != query.cameras[row])
        distances = np.where(exists, ((gallery.vectors - query.vectors[row]) ** 2).sum(axis=1), np.inf)
        assert found.positions[row].tolist() == np.argsort(distances)[:4].tolist()
