from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from reid_srdl.devices import ALONE, Place
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rules as rules_module
from reid_srdl.evaluation.rerank import Reranking
from reid_srdl.evaluation.rules import Rules


@pytest.mark.parametrize("rules", [Rules(), Rules(rerank=Reranking(k1=2, k2=1)), Rules(expand=1), Rules(engine="faiss"), Rules(metric="cosine")])
def test_vectors_that_are_too_long_are_refused_by_every_engine(rules):
    if rules.engine == "faiss":
        pytest.importorskip("faiss")
    vectors = np.random.default_rng(0).standard_normal((8, 4)) * 3e19
    long = Embeddings(vectors, labels=[1, 2] * 4, cameras=[1, 1, 2, 2] * 2)
    with pytest.raises(UserError, match="vector is too long"):
        rules.rank(long, long)


@pytest.mark.parametrize("rules", [Rules(), Rules(rerank=Reranking(k1=2, k2=1)), Rules(expand=1), Rules(engine="faiss")])
def test_vectors_of_other_dimensions_are_refused_by_every_engine(rules):
    query, gallery = (Embeddings(np.ones((4, dimension)), labels=[1, 2] * 2, cameras=[camera] * 4) for camera, dimension in ((1, 3), (2, 5)))
    with pytest.raises(UserError, match="query vectors have 3 numbers, gallery vectors 5"):
        rules.rank(query, gallery)


@pytest.mark.parametrize(("rules", "name"), [(Rules(rerank=Reranking()), "--rerank"), (Rules(expand=2), "--expand"), (Rules(engine="faiss"), "--engine faiss")])
def test_what_looks_at_the_whole_gallery_is_refused_to_several_processes(rules, name):
    rules.check(ALONE)
    with pytest.raises(UserError, match=f"^{name} works in one process"):
        rules.check(Place(torch.device("cpu"), rank=1, world=2))
    Rules().check(Place(torch.device("cpu"), rank=1, world=2))


@pytest.mark.parametrize(("rules", "message"), [(Rules(rerank=Reranking(), engine="faiss"), "distances of its own"), (Rules(expand=-1), "expand is -1"), (Rules(rerank=Reranking(k1=0)), "rerank_k1 is 0"), (Rules(rerank=Reranking(weight=2)), "rerank_weight is 2. It must lie between 0 and 1")])
def test_choices_that_nothing_ranks_by_are_refused(rules, message):
    some = Embeddings(np.ones((2, 3)), labels=[1, 2], cameras=[1, 2])
    with pytest.raises(UserError, match=message):
        rules.rank(some, some)


@pytest.mark.parametrize("rules", [Rules(), Rules(rerank=Reranking(k1=2, k2=1)), Rules(expand=1), Rules(engine="faiss")])
def test_every_engine_counts_the_query_s_own_camera_where_that_is_asked_for(rules):
    if rules.engine == "faiss":
        pytest.importorskip("faiss")
    query = Embeddings([[0.0]], labels=[1], cameras=[1])
    gallery = Embeddings([[1.0], [2.0], [5.0]], labels=[1, 1, 2], cameras=[1, 2, 2])
    for same_camera, found in ((False, 1), (True, 2)):
        assert len(dataclasses.replace(rules, same_camera=same_camera).rank(query, gallery).ranks_of(0)) == found


def test_the_engine_is_told_where_it_computes(monkeypatch):
    monkeypatch.setattr(rules_module, "load_faiss", lambda: None)
    monkeypatch.setattr(rules_module, "has_gpu", lambda faiss: True)
    rules = Rules(engine="faiss")
    assert rules.engine_used(Place(torch.device("cuda"))).endswith("on the GPU") and rules.engine_used(ALONE).endswith("on the CPU")


@pytest.mark.parametrize("engine", ["exact", "faiss"])
def test_to_the_cosine_a_query_is_averaged_with_those_of_its_direction(engine):
    if engine == "faiss":
        pytest.importorskip("faiss")
    query = Embeddings([[1.0, 0.0]], labels=[1], cameras=[1])
    # Nearest by direction is a long one; the short one, which is nearest by distance, would draw the query to its own side.
    gallery = Embeddings([[9.0, 0.0], [9.0, -7.0], [9.0, 9.0], [0.0, 1.0]], labels=[2, 1, 2, 2], cameras=[2, 2, 2, 2])
    assert Rules(metric="cosine", expand=1, engine=engine).rank(query, gallery).ranks_of(0).tolist() == [2]
