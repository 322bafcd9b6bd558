"""One precision for all runs that are compared."""

from __future__ import annotations

import pytest

from reid_srdl.commands import trial
from reid_srdl.errors import UserError
from reid_srdl.experiments.study import Cell, Study, Tuning
from reid_srdl.training import precision


def study(**changes) -> Study:
    arms = {"vanilla": {"plan.name": "vanilla"}, "srdl": {"plan.name": "srdl"}}
    values = {"name": "own", "title": "", "about": "", "recipe": "market1501", "arms": arms, "seeds": {"default": 1}, "baseline": "vanilla", "compare": ()}
    return Study(**{**values, **changes})


def test_a_precision_that_is_left_to_the_machine_is_settled_once(monkeypatch):
    asked = []
    monkeypatch.setattr(trial, "_trial", lambda *where: asked.append(where) or ("bf16", 9.0))
    assert trial.precision_flags(study(), {}) == ("--precision", "bf16") and len(asked) == 1
    assert trial.precision_flags(study(), {Cell("vanilla", 0, None, False): {"precision": "fp32"}}) == ("--precision", "fp32"), "that of what is finished"
    assert trial.precision_flags(study(), {Cell("srdl", 0, 9.0, True): {"scores": {"mAP": 0.0}, "diverged": "first"}}) == ("--precision", "bf16")
    tuned = study(tune=Tuning("optimiser.rate", (0.1, 0.2), 10))
    assert trial.precision_flags(tuned, {}) == ("--precision", "bf16")


def test_every_network_that_an_arm_trains_is_tried(monkeypatch):
    tried = []
    monkeypatch.setattr(precision, "settle", lambda wanted, networks, **_: tried.extend(networks) or ("fp32", {"fp32": 0.5}))
    kd = {"plan.name": "kd", "plan.teacher.backbone": "small_without_norm", "plan.teacher.weights": "none"}
    arms = {"vanilla": {"plan.name": "vanilla"}, "kd": kd, "kd_of_a_run": {"plan.name": "kd", "plan.teacher.checkpoint": "runs/teacher"}}
    assert trial.precision_flags(study(arms=arms, settings={"model.backbone": "small", "model.weights": "none"}), {}) == ("--precision", "fp32")
    assert sorted(type(network.backbone.layers[1]).__name__ for network in tried) == ["BatchNorm2d", "Identity"]


def test_one_that_is_stated_stays():
    assert trial.precision_flags(study(settings={"precision": "fp32"}), {}) == ()
    with pytest.raises(UserError, match="states the precision of some arms, and not of srdl"):
        trial.precision_flags(study(arms={"vanilla": {"precision": "fp32"}, "srdl": {"plan.name": "srdl"}}), {})
