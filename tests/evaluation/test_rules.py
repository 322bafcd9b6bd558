from __future__ import annotations

import numpy as np
import pytest
import torch

from reid_srdl.devices import ALONE, Place
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
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


@pytest.mark.parametrize(("rules", "name"), [(Rules(rerank=Reranking()), "--rerank"), (Rules(expand=2), "--expand"), (Rules(engine="faiss"), "--engine faiss")])
def test_what_looks_at_the_whole_gallery_is_refused_to_several_processes(rules, name):
    rules.check(ALONE)
    with pytest.raises(UserError, match=f"^{name} works in one process"):
        rules.check(Place(torch.device("cpu"), rank=1, world=2))
    Rules().check(Place(torch.device("cpu"), rank=1, world=2))
