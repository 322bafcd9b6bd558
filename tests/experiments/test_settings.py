"""What is there already counts only if it was made as it is asked for."""

import dataclasses
from pathlib import Path

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.experiments import records, settings, study
from reid_srdl.experiments.study import Cell, Study

PLAN = Study("s", "t", "a", "cifar100", {"vanilla": {"plan.name": "vanilla"}}, {"default": 1}, "vanilla", (), settings={"plan.epochs": 4, "log.eval_every": 1})
CELL = Cell("vanilla", 0, None, False)


def made(plan):
    return {CELL: {"command": ["train", *study.flags(plan, CELL)]}}


def changed(**more):
    return dataclasses.replace(PLAN, settings={**PLAN.settings, **more})


@pytest.mark.parametrize("more", [{}, {"log.eval_every": 2}, {"precision": "bf16"}])
def test_how_a_run_is_watched_does_not_matter_and_its_precision_is_a_question_of_its_own(more):
    settings.check_records(Path("s.json"), changed(**more), made(PLAN))


@pytest.mark.parametrize(("more", "key"), [({"plan.epochs": 5}, "plan.epochs"), ({"data.train_per_class": 5}, "data.train_per_class"), ({"model.weights": "w.pth"}, "model.weights")])
def test_records_of_other_settings_are_refused_by_name(more, key):
    with pytest.raises(UserError, match=f"holds vanilla-s0 by other settings than s has now: {key}"):
        settings.check_records(Path("s.json"), changed(**more), made(PLAN))


def test_a_file_of_weights_is_one_wherever_it_lies():
    settings.check_records(Path("s.json"), changed(**{"model.weights": "here.pth"}), made(changed(**{"model.weights": "/there.pth"})))


def test_a_run_folder_of_other_settings_is_refused_by_name(tmp_path):
    words = study.flags(PLAN, CELL)
    begun = dataclasses.replace(configuration.parse(Config, words, recipes=True), output=str(tmp_path), threads=7, precision="bf16")
    configuration.save(begun, tmp_path / "config.yaml")
    settings.check_run(tmp_path, [*words, "--threads", "1", "--output", "elsewhere", "--log.eval_every", "3"])
    for more, key in (["--optimiser.rate", "0.05"], "optimiser.rate"), (["--precision", "fp32"], "precision"), (["--data.batch", "16"], "data.batch"):
        with pytest.raises(UserError, match=f"was begun with other settings: {key}"):
            settings.check_run(tmp_path, [*words, *more])


def test_the_records_of_the_project_are_of_the_studies_as_they_stand():
    folder = Path(__file__).parents[2] / "docs/results"
    plans = [study.read(name) for name in study.names()]
    plans += [plan for path in folder.glob("*.json") if (plan := records.read_study(path)) is not None]
    assert len(plans) >= 6
    for plan in plans:
        settings.check_records(folder / f"{plan.name}.json", plan, records.read(folder / f"{plan.name}.json"))
