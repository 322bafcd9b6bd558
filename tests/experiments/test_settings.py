"""What is there already counts only if it was made as it is asked for."""

import dataclasses
import json
from pathlib import Path

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.experiments import records, settings, study
from reid_srdl.experiments.study import Cell, Study, Tuning

PLAN = Study("s", "t", "a", "cifar100", {"vanilla": {"plan.name": "vanilla"}}, {"default": 1}, "vanilla", (), settings={"plan.epochs": 4, "log.eval_every": 1})
CELL = Cell("vanilla", 0, None, False)
CHOOSES = {"plan.name": "early_stopped", "data.holdout_per_class": 50, "log.eval_split": "val"}


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


def recorded(words, run: Path, data_hash="h"):
    """What a record of this version keeps of a run that these flags of ``train`` began."""
    configuration.save(dataclasses.replace(configuration.parse(Config, words, recipes=True), output=str(run)), run / "config.yaml")
    return {"command": ["train", *words], "settings": json.loads(json.dumps(settings.of_run(run))), "data_hash": data_hash}


def test_a_recipe_that_was_edited_is_another_setting_though_no_flag_is(tmp_path):
    recipe = tmp_path / "own.yaml"
    recipe.write_text("dataset: cifar100\noptimiser: {rate: 0.05}\nmodel: {backbone: resnet32, weights: none}\nplan: {epochs: 9}\n")
    plan = dataclasses.replace(PLAN, recipe=str(recipe))
    found = {CELL: recorded(study.flags(plan, CELL), tmp_path)}
    settings.check_records(Path("s.json"), plan, found)
    recipe.write_text(recipe.read_text().replace("0.05", "0.5"))
    with pytest.raises(UserError, match="holds vanilla-s0 by other settings than s has now: optimiser.rate\\."):
        settings.check_records(Path("s.json"), plan, found)


def test_initial_weights_are_what_is_in_their_file(tmp_path):
    for name, content in (("w.pth", b"one"), ("same.pth", b"one"), ("other.pth", b"two")):
        (tmp_path / name).write_bytes(content)
    with_file = [*study.flags(PLAN, CELL), "--model.weights", str(tmp_path / "w.pth")]
    found = {CELL: recorded(with_file, tmp_path)}
    assert str(tmp_path) not in str(found[CELL]["settings"]), "nobody's folders stand in a record"
    settings.check_records(Path("s.json"), PLAN, found)  # where the page is written, the file is not known
    assert settings.weights_file({**found[CELL], "command": ["train"]}) == ["--model.weights", "w.pth"] and settings.weights_file({"command": ["train"]}) == []
    settings.check_records(Path("s.json"), PLAN, found, ["--threads", "2", "--model.weights", str(tmp_path / "w.pth")])
    for extra in (["--model.weights", str(tmp_path / "other.pth")], []):
        with pytest.raises(UserError, match="now: model.weights"):
            settings.check_records(Path("s.json"), PLAN, found, extra)
    with pytest.raises(UserError, match="now: model.weights"):
        settings.check_records(Path("s.json"), changed(**{"model.weights": str(tmp_path / "other.pth")}), found)


@pytest.mark.parametrize("second", [Cell("vanilla", 1, None, False), Cell("srdl", 0, None, False)])
def test_what_is_compared_is_of_one_set_of_images(tmp_path, second):
    plan = dataclasses.replace(PLAN, arms={**PLAN.arms, "srdl": {"plan.name": "srdl"}})
    found = {cell: recorded(study.flags(plan, cell), tmp_path, data_hash) for cell, data_hash in ((CELL, "h"), (second, "another"))}
    with pytest.raises(UserError, match=f"holds vanilla-s0 and {second.name}, which were trained on different images"):
        settings.check_records(Path("s.json"), plan, found)


def test_tries_for_a_rate_that_is_tuned_no_more_are_of_no_account(tmp_path):
    tuned = dataclasses.replace(PLAN, tune=Tuning("optimiser.rate", (0.1,), 10))
    tried = Cell("vanilla", 0, 0.1, True)
    found = {tried: recorded(study.flags(tuned, tried), tmp_path)}
    for plan in (tuned, PLAN):
        settings.check_records(Path("s.json"), plan, found)
    found[dataclasses.replace(tried, held_out=False)] = recorded([*study.flags(PLAN, CELL), "--optimiser.rate", "0.2"], tmp_path)
    with pytest.raises(UserError, match="holds vanilla-0.1-s0 by other settings than s has now: optimiser.rate"):
        settings.check_records(Path("s.json"), PLAN, found)


def test_an_arm_that_holds_images_out_is_trained_on_others(tmp_path):
    plan = dataclasses.replace(PLAN, arms={**PLAN.arms, "chosen": CHOOSES})
    chosen = Cell("chosen", 0, None, False)
    settings.check_records(Path("s.json"), plan, {cell: recorded(study.flags(plan, cell), tmp_path, data_hash) for cell, data_hash in ((CELL, "h"), (chosen, "fewer"))})


def test_a_run_begun_from_a_file_is_taken_up_however_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("w.pth").write_bytes(b"one")
    words = study.flags(PLAN, CELL)
    recorded([*words, "--model.weights", str(tmp_path / "w.pth"), "--plan.teacher.weights", str(tmp_path / "w.pth")], tmp_path)
    settings.check_run(tmp_path, [*words, "--model.weights", "w.pth", "--plan.teacher.weights", "w.pth"])
    Path("w.pth").rename("v.pth")
    Path("w.pth").write_bytes(b"two")
    with pytest.raises(UserError, match="was begun with other settings: model.weights"):
        recorded([*words, "--model.weights", str(tmp_path / "v.pth")], tmp_path)
        settings.check_run(tmp_path, [*words, "--model.weights", "w.pth"])


@pytest.mark.parametrize("earlier", [False, True])
def test_how_often_a_run_is_scored_matters_where_its_epoch_is_chosen_by_that(tmp_path, earlier):
    plan = dataclasses.replace(PLAN, arms={"vanilla": CHOOSES})
    words = study.flags(plan, CELL)
    found = {CELL: {key: value for key, value in recorded(words, tmp_path).items() if not earlier or key != "settings"}}
    settings.check_records(Path("s.json"), plan, found)
    settings.check_run(tmp_path, words)
    rarer = dataclasses.replace(plan, settings={**plan.settings, "log.eval_every": 2})
    with pytest.raises(UserError, match=r"other settings than s has now: log.eval_every\."):
        settings.check_records(Path("s.json"), rarer, found)
    with pytest.raises(UserError, match=r"begun with other settings: log.eval_every\."):
        settings.check_run(tmp_path, study.flags(rarer, CELL))


def test_a_record_that_does_not_tell_how_often_its_run_was_scored_is_accepted(tmp_path):
    plan = dataclasses.replace(PLAN, arms={"vanilla": CHOOSES})
    record = recorded(study.flags(plan, CELL), tmp_path)
    record["settings"] = {key: value for key, value in record["settings"].items() if not key.startswith("log.")}
    settings.check_records(Path("s.json"), plan, {CELL: record})
