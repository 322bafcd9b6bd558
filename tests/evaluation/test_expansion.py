"""Query expansion: means by hand, weights, and blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.evaluation import expansion
from reid_srdl.evaluation.expansion import expand


def test_a_query_becomes_the_mean_of_itself_and_what_is_nearest():
    queries = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32)
    gallery = np.array([[2.0, 1.0], [9.0, 9.0], [0.0, 2.0], [2.0, -1.0]], np.float32)
    found = expand(queries, gallery, count=2)
    # (2, 0), (2, 1), (2, -1) have the mean (2, 0); (0, 1), (0, 2), (2, 1) have (2/3, 4/3), of length 1 as the query.
    np.testing.assert_allclose(found, [[2, 0], np.array([1, 2]) / np.sqrt(5)], atol=1e-6)


def test_weights_listen_to_the_direction():
    queries = np.array([[1.0, 0.0]], np.float32)
    gallery = np.array([[0.0, 1.0], [0.6, 0.8]], np.float32)
    np.testing.assert_allclose(expand(queries, gallery, count=2, weight=1), [np.array([1.36, 0.48]) / np.hypot(1.36, 0.48)], atol=1e-6)
    away = np.array([[-1.0, 0.1]], np.float32)
    np.testing.assert_allclose(expand(queries, away, count=1, weight=2), queries, atol=1e-6)


def test_blocks_change_nothing_and_more_than_there_is_is_all(monkeypatch):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(17, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    whole = expand(queries, gallery, count=9)
    monkeypatch.setattr(expansion, "_BLOCK_BYTES", 100)
    np.testing.assert_allclose(expand(queries, gallery, count=5), whole, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_vectors_that_cannot_be_written_to_are_read_without_a_word():
    torch.set_warn_always(True)  # else it would say so once a process
    try:
        vectors = np.frombuffer(np.ones(6, np.float32).tobytes(), np.float32).reshape(3, 2)
        np.testing.assert_allclose(expand(vectors, vectors, count=1), vectors)
    finally:
        torch.set_warn_always(False)


def test_what_joins_the_queries_fits_into_a_block_too(monkeypatch):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(40, 64)).astype(np.float32), rng.normal(size=(30, 64)).astype(np.float32)
    whole, sizes, averaged = expand(queries, gallery, count=20), [], expansion.averaged
    monkeypatch.setattr(expansion, "_BLOCK_BYTES", 1 << 15)
    monkeypatch.setattr(expansion, "averaged", lambda rows, items, **how: sizes.append(items.nbytes) or averaged(rows, items, **how))
    np.testing.assert_allclose(expand(queries, gallery, count=20), whole, atol=1e-5)
    assert max(sizes) <= 1 << 15


def test_numbers_that_cannot_be():
    vectors = np.ones((2, 2), np.float32)
    with pytest.raises(UserError, match="0 items"):
        expand(vectors, vectors, count=0)
    with pytest.raises(UserError, match="-1"):
        expand(vectors, vectors, count=1, weight=-1)
