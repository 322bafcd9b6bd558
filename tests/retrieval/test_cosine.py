"""An index that compares by the cosine, in each backend."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.evaluation.expansion import expand
from reid_srdl.evaluation.flat_index import unit_length
from reid_srdl.evaluation.rerank import Reranking, rerank
from reid_srdl.retrieval import create_index, open_index
from reid_srdl.retrieval.search import Wanted, find

from .conftest import DIMENSION, embedded, nearest

QUERIES = 3 * np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)
HOW = Reranking(6, 3, 0.3)


def lengthened(rows: int, **more):
    """Vectors of very different lengths, by which Euclidean neighbours are others."""
    some = embedded(rows, **more)
    return dataclasses.replace(some, vectors=some.vectors * np.random.default_rng(1).uniform(0.1, 9, (rows, 1)).astype(np.float32))


def at_length_one(gallery):
    return dataclasses.replace(gallery, vectors=unit_length(gallery.vectors))


def test_the_nearest_and_their_distances_are_those_of_the_cosine(build):
    gallery = lengthened(60)
    hits = build(gallery, metric="cosine").search(QUERIES, 7)
    cosines = unit_length(QUERIES).astype(np.float64) @ unit_length(gallery.vectors).T
    np.testing.assert_array_equal(hits.paths, np.array(gallery.paths, object)[np.argsort(-cosines, axis=1)[:, :7]])
    np.testing.assert_allclose(hits.distances, np.sort(1 - cosines, axis=1)[:, :7], atol=1e-5)
    assert (hits.paths != nearest(QUERIES, gallery, 7)).any()


def test_it_is_kept_with_the_index_and_what_is_added_later_is_compared_so(build):
    gallery, more = lengthened(40), lengthened(20, first=40)
    index = build(gallery, metric="cosine")
    index.add(more)
    again = open_index(index.path)
    both = np.concatenate([gallery.vectors, more.vectors])
    wanted = np.argsort(-(unit_length(QUERIES) @ unit_length(both).T), axis=1)[:, :5]
    for one in (index, again):
        np.testing.assert_array_equal(one.search(QUERIES, 5).paths, np.array([*gallery.paths, *more.paths], object)[wanted])
        assert one.about.metric == "cosine" and one.about.distance == "1 - cosine" and len(one) == 60
    again.close()


def test_expansion_and_re_ranking_are_those_of_the_evaluation_by_cosine(build):
    gallery = at_length_one(lengthened(50))
    index, query = build(lengthened(50), metric="cosine"), unit_length(QUERIES)
    expanded = expand(query, gallery.vectors, count=5)
    np.testing.assert_array_equal(find(index, QUERIES, Wanted(6, expand=5)).hits.paths, nearest(unit_length(expanded), gallery, 6))
    found = find(index, QUERIES, Wanted(6, rerank=HOW, candidates=20))
    for row in range(len(QUERIES)):
        some = nearest(query[row : row + 1], gallery, 20)[0]
        rows = [gallery.paths.index(path) for path in some]
        expected = np.sort(rerank(query[row : row + 1], gallery.vectors[rows], HOW)[0])[:6]
        np.testing.assert_allclose(found.reranked[row], expected, atol=1e-5)


def test_an_index_that_was_built_anew_by_another_metric_is_not_gone_on_with(build, backend):
    index = build(embedded(20))
    # An index of one file, or of one small JSON that says where the collection is.
    create_index(index.path, embedded(20), backend=backend, metric="cosine", replace=True)[0].close()
    with pytest.raises(UserError, match=r"built anew by the cosine distance, and had the euclidean one\. Open it again"):
        index.refresh()


def test_unknown_metrics_are_refused(tmp_path):
    with pytest.raises(UserError, match="no metric 'dot'"):
        create_index(tmp_path / "g.index", embedded(5), metric="dot")
    assert not list(tmp_path.iterdir())


def test_zeros_are_at_a_right_angle_to_all(build):
    gallery = lengthened(20)
    hits = build(gallery, metric="cosine").search(np.zeros((1, DIMENSION), np.float32), 3)
    np.testing.assert_array_equal(hits.distances, np.ones((1, 3)))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_vectors_whose_distances_overflow_are_in_no_index(tmp_path, metric):
    gallery = dataclasses.replace(embedded(5), vectors=embedded(5).vectors * np.float32(1e20))
    with pytest.raises(UserError, match="a gallery vector is too long for distances in float32"):
        create_index(tmp_path / "g.index", gallery, metric=metric)
    index, _ = create_index(tmp_path / "g.index", embedded(5), metric=metric)
    with pytest.raises(UserError, match="too long"):
        index.add(gallery)
    assert len(index) == 5


def test_zeros_in_a_gallery_are_refused_by_name(build):
    vectors = lengthened(20).vectors.copy()
    vectors[7] = 0
    gallery = dataclasses.replace(lengthened(20), vectors=vectors)
    with pytest.raises(UserError, match=f"1 of 20 vectors hold nothing but zeros, such as {gallery.paths[7]}"):
        build(gallery, metric="cosine")
    index = build(lengthened(20), metric="cosine")
    with pytest.raises(UserError, match="no cosine"):
        index.add(dataclasses.replace(gallery, paths=tuple(f"more/{path}" for path in gallery.paths)))
    assert len(index) == 20


@pytest.mark.parametrize("number", [0, 1e20])
def test_junk_may_be_whatever_it_is(build, number):
    gallery = lengthened(20, junk=2)
    vectors = gallery.vectors.copy()
    vectors[-1] = number
    gallery = dataclasses.replace(gallery, vectors=vectors)
    index = build(gallery, metric="cosine")
    assert len(index) == 18 and index.add(dataclasses.replace(gallery, paths=tuple(f"more/{path}" for path in gallery.paths))).junk == 2


def test_an_index_that_was_built_anew_with_mirror_images_is_not_gone_on_with(build, backend):
    index = build(dataclasses.replace(embedded(20), flip=False))
    create_index(index.path, dataclasses.replace(embedded(20), flip=True), backend=backend, replace=True)[0].close()
    with pytest.raises(UserError, match=r"built anew of embeddings with --flip\. Open it again"):
        index.refresh()
