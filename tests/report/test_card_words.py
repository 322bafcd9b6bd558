"""The words of a card: what is recorded is told as it is, and nothing else."""

from __future__ import annotations

import ast

import pytest

from reid_srdl.models.cost import Cost
from reid_srdl.report import card_words as said


def test_settings_are_told_as_recorded():
    config = {"a": {"b": 0.5, "none": None, "yes": True, "many": [0.5, 0.75]}, "weights": "/home/somebody/files/net.pth"}
    assert [said.value(config, key) for key in ("a.b", "a.none", "a.yes", "a.many", "a.c", "a.b.c")] == ["0.5", "not set", "yes", "0.5, 0.75", "not recorded", "not recorded"]
    assert said.value(config, "weights") == "net.pth"
    found = said.settings({"data": {"height": 96, "width": 48}, "plan": {"first": {"rate": None}, "second": {"rate": 0.01}}})
    assert found["Input, height × width in pixels"] == "96 × 48" and found["Learning rate of the second stage"] == "0.01"
    assert "Learning rate of the first stage" not in found and found["Batch"] == "not recorded"


def test_every_other_choice_that_was_made_is_told():
    made = {"reference": {"shuffle": True, "views": 1}, "plan": {"second": {"label_smoothing": 0.1}, "epochs": 40}, "loss": {"ramp_share": 0.27, "scale": 1.0}, "data": {"workers": 9, "batch": 64}}
    found = said.settings(made)
    assert {name: told for name, told in found.items() if name.startswith("`")} == {
        "`plan.second.label_smoothing`": "0.1", "`loss.ramp_share`": "0.27", "`reference.shuffle`": "yes",
    }  # fmt: skip


def test_held_out_people_and_images():
    assert said.held_out({"data": {"holdout_identities": 0}}, False) == "none"
    assert said.held_out({"data": {"holdout_identities": 100}}, False) == "100 people"
    assert said.held_out({"data": {"holdout_per_class": 5}}, True) == "5 images of each class"
    assert said.held_out({}, False) == "not recorded"


def test_terms_point_to_the_publishers_and_own_images_to_their_owner():
    assert "under `market1501`" in said.terms("market1501") and "trainer’s own" in said.terms("folder") and "drawn" in said.terms("synthetic")


def test_sets_that_were_joined_have_terms_of_their_own():
    assert said.terms("market1501+synthetic") == f"market1501: {said.terms('market1501')}; synthetic: {said.terms('synthetic')}"


def test_whom_the_data_shows():
    real, drawn, pretrained = (said.responsible(*args, False) for args in (("market1501", "none"), ("synthetic", "none"), ("market1501", "imagenet")))
    assert "no proof of identity" in real and "`market1501` alone" in real and "not measured" in real
    assert "No real person" in drawn and "beginning from other weights (imagenet)" in pretrained and "alone" not in pretrained


@pytest.mark.parametrize("classifies", [False, True])
@pytest.mark.parametrize("name", ["run", 'my "best" run', "back\\nslash", "two\nlines", "Läufe"])
def test_the_snippet_loads_the_run_whatever_its_name(name, classifies):
    snippet = said.loading(name, classifies).split("```python\n")[1].removesuffix("\n```")
    calls = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "load"]
    assert [ast.literal_eval(call.args[0]) for call in calls] == [name]


def test_cells_stay_in_their_cells():
    assert said.table(("", "b"), [("x|y", "1\n2")]).splitlines()[-1] == "| x\\|y | 1 2 |"
    assert said.macs(Cost(1000, 20)).startswith("1000 in training") and "1020 in all" in said.macs(Cost(1000, 20))
