"""What is asked of ``eval``, as rules of scoring."""

from __future__ import annotations

import dataclasses
from operator import attrgetter

import pytest

from reid_srdl.commands.eval_options import EvalOptions, rules
from reid_srdl.commands.kinds import RANKS
from reid_srdl.errors import UserError
from reid_srdl.evaluation.rules import USUAL

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


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"rerank_k1": 5}, "--rerank_k1 means nothing without --rerank"), ({"rerank": True, "engine": "faiss"}, "distances of its own"),
        ({"expand": -1}, "expand is -1"), ({"rerank": True, "rerank_k1": 0}, "rerank_k1 is 0"),
    ],
)  # fmt: skip
def test_what_is_not_ranked_by_is_refused_before_anything_is_computed(choices, message):
    with pytest.raises(UserError, match=message):
        rules(EvalOptions(**choices))
