"""What training and scoring do differently with people and with classes."""

from __future__ import annotations

import dataclasses
from operator import attrgetter

import pytest
import torch

from reid_srdl import inference
from reid_srdl.commands.eval_options import EvalOptions
from reid_srdl.commands.kinds import RANKS, kind_of, rules
from reid_srdl.data.images import open_source
from reid_srdl.devices import ALONE
from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.rules import USUAL
from reid_srdl.models import build

CHOICES = {
    "metric": ("cosine", "metric"), "ignore_camera": (True, "same_camera"), "multi_query": ("max", "multi_query"), "engine": ("faiss", "engine"),
    "expand": (3, "expand"), "rerank_k1": (5, "rerank.k1"), "rerank_k2": (2, "rerank.k2"), "rerank_weight": (0.7, "rerank.weight"),
}  # fmt: skip
"""Of each option another value than the usual one, and where it belongs among the rules."""


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_asked_for_is_what_is_ranked_by(name):
    (value, place), again = CHOICES[name], name.startswith("rerank_")
    assert value != getattr(EvalOptions(), name)
    usual, made = rules(EvalOptions(rerank=again)), rules(EvalOptions(**{"rerank": again, name: value}))
    assert attrgetter(place)(made) == value
    changed = {"rerank": dataclasses.replace(usual.rerank, **{place.removeprefix("rerank."): value})} if again else {place: value}
    assert made == dataclasses.replace(usual, **changed), "and nothing else"


def test_every_option_of_ranking_is_among_them():
    again = {field.name for field in dataclasses.fields(EvalOptions) if field.name.startswith("rerank_")}
    assert again < RANKS and set(CHOICES) == RANKS - {"query", "rerank"}
    assert rules(EvalOptions()) == USUAL and rules(EvalOptions(rerank=True)).rerank is not None


def test_a_network_is_scored_during_training_by_the_run_s_own_distance(people, config):
    torch.manual_seed(0)
    network = build("small", 6).eval()
    parts = []
    for split in (people.query, people.gallery):
        vectors = inference.embed(network, open_source(split.files, config.size), size=config.size, place=ALONE)
        parts.append(Embeddings(vectors, split.paths, split.labels, split.cameras))
    found = {}
    for distance in ("euclidean", "cosine"):
        asked = dataclasses.replace(config, distance=distance, log=dataclasses.replace(config.log, eval_split="test"))
        found[distance] = kind_of(people).score_during(people, asked)(network, ALONE)
        assert found[distance]["mAP"] == pytest.approx(rank(*parts, metric=distance, device="cpu").mAP)
    assert found["euclidean"]["mAP"] != found["cosine"]["mAP"]
