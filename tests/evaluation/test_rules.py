from __future__ import annotations

import pytest
import torch

from reid_srdl.devices import ALONE, Place
from reid_srdl.errors import UserError
from reid_srdl.evaluation.rerank import Reranking
from reid_srdl.evaluation.rules import Rules


@pytest.mark.parametrize(("rules", "name"), [(Rules(rerank=Reranking()), "--rerank"), (Rules(expand=2), "--expand"), (Rules(engine="faiss"), "--engine faiss")])
def test_what_looks_at_the_whole_gallery_is_refused_to_several_processes(rules, name):
    rules.check(ALONE)
    with pytest.raises(UserError, match=f"^{name} works in one process"):
        rules.check(Place(torch.device("cpu"), rank=1, world=2))
    Rules().check(Place(torch.device("cpu"), rank=1, world=2))
