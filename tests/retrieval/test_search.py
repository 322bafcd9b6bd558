"""From query vectors to ranked images."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
import torch

from reid_srdl import devices, runs
from reid_srdl.config import ModelConfig
from reid_srdl.embeddings import UNKNOWN
from reid_srdl.errors import UserError
from reid_srdl.evaluation.expansion import expand
from reid_srdl.evaluation.rerank import Reranking, rerank
from reid_srdl.retrieval import create_index, search
from reid_srdl.retrieval.faiss_index import FaissIndex
from reid_srdl.retrieval.search import Wanted, as_records, find

from .conftest import DIMENSION, MODEL, embedded, nearest

QUERIES = np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)


def test_a_plain_search_is_that_of_the_index(build):
    gallery = embedded(50)
    found = find(build(gallery), QUERIES, Wanted(6))
    np.testing.assert_array_equal(found.hits.paths, nearest(QUERIES, gallery, 6))
    assert found.probabilities is None and found.reranked is None


def test_queries_are_expanded_as_in_the_evaluation(build):
    gallery = embedded(50)
    found = find(build(gallery), QUERIES, Wanted(6, expand=5))
    expected = expand(QUERIES, gallery.vectors, count=5)
    np.testing.assert_array_equal(found.hits.paths, nearest(expected, gallery, 6))
    assert (found.hits.paths != nearest(QUERIES, gallery, 6)).any()


def test_expansion_heeds_the_camera_filter_and_bears_an_empty_gallery(build):
    gallery = embedded(50)
    own = gallery.take(gallery.cameras == 2)
    index = build(gallery)
    found = find(index, QUERIES, Wanted(4, cameras=(2,), expand=100))
    np.testing.assert_array_equal(found.hits.paths, nearest(expand(QUERIES, own.vectors, count=len(own)), own, 4))
    assert not find(index, QUERIES, Wanted(4, cameras=(9,), expand=3, rerank=Reranking())).hits.counts.any()


def test_candidates_are_reranked_among_themselves(build):
    gallery = embedded(80)
    how = Reranking(k1=4, k2=2)
    found = find(build(gallery), QUERIES, Wanted(7, rerank=how, candidates=30))
    for row, query in enumerate(QUERIES):
        near = nearest(query[None], gallery, 30)[0]
        items = gallery.vectors[[gallery.paths.index(path) for path in near]]
        far = rerank(query[None], items, how)[0]
        order = np.argsort(far, kind="stable")[:7]
        np.testing.assert_array_equal(found.hits.paths[row], near[order])
        np.testing.assert_allclose(found.reranked[row], far[order], atol=1e-6)
        np.testing.assert_allclose(found.hits.distances[row], ((items[order] - query) ** 2).sum(axis=1), rtol=1e-5)
    assert (np.diff(found.reranked, axis=1) >= 0).all() and (np.diff(found.hits.distances, axis=1) < 0).any()


@pytest.mark.parametrize("cameras", [None, (1, 2)])
def test_an_image_of_the_index_is_not_its_own_neighbour(build, cameras):
    gallery = embedded(40)
    index = build(gallery)
    own = int(index.by_path([gallery.paths[4]]).ids[0])
    others = gallery.take(np.arange(40) != 4)
    others = others if cameras is None else others.take(np.isin(others.cameras, cameras))
    query, apart = gallery.vectors[4:5], build(others, "others.index")
    for wanted in (Wanted(6), Wanted(6, expand=3), Wanted(6, rerank=Reranking(k1=4, k2=2), candidates=20), Wanted(100)):
        wanted = dataclasses.replace(wanted, cameras=cameras)
        found = find(index, query, dataclasses.replace(wanted, without=own))
        alone = find(apart, query, wanted)
        count = int(found.hits.counts[0])
        assert count == min(wanted.top_k, len(others)) and (found.hits.ids[0, count:] == -1).all()
        assert found.hits.paths[0, :count].tolist() == alone.hits.paths[0, :count].tolist()


def test_what_is_changed_meanwhile_is_not_mixed_with_what_was(tmp_path, monkeypatch):
    gallery = embedded(50)
    index, _ = create_index(tmp_path / "gallery.index", gallery)
    wanted = Wanted(6, rerank=Reranking(k1=4, k2=2), candidates=20)
    before = find(index, QUERIES, wanted)
    search_once = FaissIndex.search

    def searched(self, *arguments):
        hits = search_once(self, *arguments)
        index.delete(list(gallery.paths))
        index.add(embedded(50, seed=9))
        return hits

    monkeypatch.setattr(FaissIndex, "search", searched)
    meanwhile = find(index, QUERIES, wanted)
    assert meanwhile.hits.paths.tolist() == before.hits.paths.tolist() and np.array_equal(meanwhile.reranked, before.reranked)


def test_an_image_that_goes_while_it_is_looked_at_is_said(tmp_path, monkeypatch):
    index, _ = create_index(tmp_path / "gallery.index", embedded(50))

    def gone(self, ids):
        raise KeyError(7)

    monkeypatch.setattr(FaissIndex, "vectors", gone)
    for wanted in (Wanted(6, expand=2), Wanted(6, rerank=Reranking())):
        with pytest.raises(UserError, match="was deleted while it was looked at"):
            find(index, QUERIES, wanted)


def test_fewer_candidates_than_wanted_hits_become_as_many(build):
    assert find(build(embedded(40)), QUERIES, Wanted(25, rerank=Reranking(), candidates=3)).hits.ids.shape == (4, 25)


def test_probabilities_are_those_of_the_distances_and_of_no_expanded_query(build):
    calibration = types.SimpleNamespace(probability=lambda distances: 1 / (1 + distances.astype(np.float64)))
    index = build(embedded(30))
    found = find(index, QUERIES, Wanted(5, rerank=Reranking()), calibration)
    np.testing.assert_allclose(found.probabilities, 1 / (1 + found.hits.distances))
    assert find(index, QUERIES, Wanted(5, expand=2), calibration).probabilities is None


@pytest.mark.parametrize(("wanted", "message"), [(Wanted(0), "top_k is 0"), (Wanted(expand=-1), "expand is -1"), (Wanted(candidates=0), "candidates is 0"), (Wanted(cameras=(1, 2**63)), r"cameras\[1\] is a whole number of 64 bits"), (Wanted(rerank=Reranking(k1=0)), "rerank_k1 is 0. It must be above 0")])
def test_numbers_that_no_search_has_are_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        wanted.check()


def test_records_say_null_where_nothing_is_known(build):
    gallery = embedded(5)
    gallery.labels[0], gallery.cameras[0] = UNKNOWN, UNKNOWN
    index = build(gallery, names={3: "Zoë"})
    first = as_records(find(index, gallery.vectors[:1], Wanted(2)), 0, index)[0]
    number = int(index.by_path(gallery.paths[:1]).ids[0])
    assert first == {"rank": 1, "id": number, "distance": 0.0, "probability": None, "reranked": None, "path": gallery.paths[0], "camera": None, "label": None, "name": None}
    third = as_records(find(index, gallery.vectors[3:4], Wanted(2)), 0, index)[0]
    assert (third["label"], third["name"], third["camera"]) == (3, "Zoë", 1)


def test_what_was_not_found_is_said_once(build):
    index = build(embedded(5))
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]

    def said(wanted):
        return search.remarks(find(index, QUERIES, wanted), wanted, names, index)

    assert said(Wanted(5)) == []
    assert said(Wanted(9)) == [f"{index.path} holds 5 images: all of them are shown."]
    assert said(Wanted(9, cameras=(3,))) == [f"{index.path} holds 1 image of camera 3: all of them are shown."]
    assert said(Wanted(9, cameras=(8, 9))) == [f"There is no image of camera 8, 9 in {index.path}."]


def network(model=MODEL, dimension=DIMENSION, facts=None, folder=None):
    """As ``load`` makes one, but for the layers."""
    made, place = types.SimpleNamespace(dimension=dimension), devices.Place(torch.device("cpu"))
    return runs.Trained(made, (32, 16), np.empty(0, np.int64), model, place, ModelConfig("small", "none"), folder=folder, facts=facts)


def test_only_the_network_of_the_index_may_search_it(build):
    index = build(embedded(5))
    search.check_network(network(), index.about, index.path, "runs/a")
    with pytest.raises(UserError, match="was built by the network aaaaaaaaaaaa…, and runs/b is bbbbbbbbbbbb…. Distances between two networks mean nothing"):
        search.check_network(network("b" * 64), index.about, index.path, "runs/b")
    with pytest.raises(UserError, match="runs/a makes vectors of 7 numbers"):
        search.check_network(network(dimension=7), index.about, index.path, "runs/a")
    # A full-precision export is the same network; an INT8 one makes other embeddings.
    for precision, same in (("fp32", True), ("int8", False)):
        exported = network("c" * 64, facts=types.SimpleNamespace(source=MODEL, precision=precision))
        if same:
            search.check_network(exported, index.about, index.path, "a.onnx")
        else:
            with pytest.raises(UserError, match="was built by the network"):
                search.check_network(exported, index.about, index.path, "a.onnx")


def test_a_calibration_is_used_only_where_it_fits(build, tmp_path):
    from reid_srdl.evaluation.calibration import Calibration

    def written(**changes):
        values = {"model": MODEL, "metric": "euclidean", "flip": False, "distances": np.array([0.0, 9.0]), "log_odds": np.array([3.0, -3.0]), "prior": 0.5, "facts": {}}
        Calibration(**{**values, **changes}).save(tmp_path / runs.CALIBRATION)

    index, run = build(embedded(5)), network(folder=tmp_path)
    assert search.calibration_for(index, network(), flip=False) == (None, "") == search.calibration_for(index, run, flip=False)
    written()
    found, why = search.calibration_for(index, run, flip=False)
    assert found is not None and not why
    assert "without --flip" in search.calibration_for(index, run, flip=True)[1]
    for changes, message in (({"model": "b"}, "another network"), ({"metric": "cosine"}, "cosine distances"), ({"flip": True}, "with --flip")):
        written(**changes)
        found, why = search.calibration_for(index, run, flip=False)
        assert found is None and message in why


def test_distances_of_approximate_vectors_get_no_probability(tmp_path):
    from reid_srdl.evaluation.calibration import Calibration
    from reid_srdl.retrieval import create_index

    index, _ = create_index(tmp_path / "g.index", embedded(300), factory="SQ8")
    Calibration(MODEL, "euclidean", False, np.array([0.0, 9.0]), np.array([3.0, -3.0]), 0.5, {}).save(tmp_path / runs.CALIBRATION)
    assert search.calibration_for(index, network(folder=tmp_path), flip=False) == (None, "the distances of this index are approximate")
