"""The command that a diverged run is started anew with is one that the program takes."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config, StageConfig
from reid_srdl.training import plans
from reid_srdl.training.diverged import way_out


@pytest.mark.parametrize(("number", "second", "halved"), [(0, 0.4, ("optimiser", 0.025)), (1, 0.4, ("second", 0.2)), (0, 0.05, ("optimiser", 0.025))])
def test_half_the_rate_of_the_stage_that_came_apart(config, number, second, halved):
    config = dataclasses.replace(config, plan=dataclasses.replace(config.plan, second=StageConfig(rate=second)))
    folder = Path(config.output)
    configuration.save(config, folder / "config.yaml")
    hint = way_out(config, folder, plans.build(config)[number])
    words = shlex.split(hint.partition("lower rate: ")[2])
    anew = configuration.parse(Config, words[words.index("train") + 1 :], "train", recipes=True)
    assert Path(anew.output).parent == folder.parent and anew.output != config.output
    assert (("optimiser", anew.optimiser.rate), ("second", anew.plan.second.rate))[number] == halved
    before = [rate for stage in plans.build(config) for rate in stage.rates[:1]]
    after = [rate for stage in plans.build(anew) for rate in stage.rates[:1]]
    assert after[number] == before[number] / 2 and after[1 - number] == before[1 - number]


@pytest.mark.parametrize(("precision", "told"), [("bf16", True), ("fp32", False), ("auto", False)])
def test_a_run_in_half_precision_is_told_of_the_other_way_out(config, precision, told):
    config = dataclasses.replace(config, precision=precision)
    assert ("--precision fp32" in way_out(config, Path(config.output), plans.build(config)[0])) == told
