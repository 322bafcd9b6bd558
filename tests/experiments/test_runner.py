import dataclasses
import json
import threading
import time
from types import SimpleNamespace

import pytest

from reid_srdl import config as configuration
from reid_srdl import files
from reid_srdl.config import Config, LogConfig
from reid_srdl.errors import UserError
from reid_srdl.experiments import records, results, runner, study
from reid_srdl.experiments.runner import Place, gpu_of
from reid_srdl.experiments.study import Cell, Study, Tuning

PLAN = Study("s", "t", "a", "synthetic", {"a": {"plan.name": "vanilla"}}, {"default": 1}, "a", ())
CELL = Cell("a", 0, None, False)
FACTS = {
    "finished": True, "images": 10, "identities": 5, "data_hash": "h", "precision": "fp32", "threads": 1, "hardware": {}, "versions": {}, "started": "2026-01-02T03",
    "stages": [{"name": "only", "folder": "1-only", "epochs": 2, "shared": False, "seconds": 1.0, "images_per_s": 5.0, "model": "m", "final": {"cross_entropy": 0.5}}],
}  # fmt: skip


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Makes a finished run of some sets with these scores."""

    def make(*, eval_split="test", **sets):
        configuration.save(Config(log=LogConfig(eval_split=eval_split)), tmp_path / "config.yaml")
        monkeypatch.setattr(runner.runs, "read_facts", lambda folder: {**FACTS, "dataset": "+".join(sets)})
        monkeypatch.setattr(runner.runs, "read_log", lambda folder: [{"epoch": 0, "val_mAP": None, "val_rank1": 0.5}, {"epoch": 1, "val_rank1": 0.4}])
        monkeypatch.setattr(runner.cost, "of_run", lambda folder: SimpleNamespace(total=7))
        monkeypatch.setattr(runner.soft_targets, "of_run", lambda folder: [])
        for name, metrics in sets.items():
            path = tmp_path / "eval" / name / "metrics.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(metrics))
        return tmp_path

    return make


def test_a_record_keeps_the_scores_of_the_last_epoch_and_the_best_beside_them(scored):
    record = runner.record_of(PLAN, CELL, scored(people={"single": {"rank1": 0.4, "mAP": 0.3, "rank20": 0.9}, "multi": {"rank1": 0.5, "mAP": 0.35}}))
    assert record["scores"] == {"rank1": 0.4, "mAP": 0.3} and record["multi"] == {"rank1": 0.5, "mAP": 0.35}
    assert record["best"] == {"value": 0.5, "epoch": 0, "scored": 2} and record["macs"] == 7 and record["kind"] == "identities" and record["date"] == "2026-01-02"


def test_the_best_epoch_on_another_split_stands_beside_no_test_score(scored):
    record = runner.record_of(PLAN, CELL, scored(eval_split="val", images={"classification": {"top1": 0.4, "top5": 0.7}}))
    assert record["best"] is None


def test_a_try_for_a_rate_is_told_by_the_people_who_were_held_out(scored, monkeypatch):
    scores = {"people": {"single": {"rank1": 0.1, "mAP": 0.1}}, "people-val": {"single": {"rank1": 0.7, "mAP": 0.6}}}
    run = scored(**scores)
    monkeypatch.setattr(runner.runs, "read_facts", lambda folder: {**FACTS, "dataset": "people"})
    tuned = dataclasses.replace(PLAN, tune=Tuning("optimiser.rate", (0.1,), 5, 0))
    assert runner.record_of(tuned, Cell("a", 0, 0.1, True), run)["scores"] == {"rank1": 0.7, "mAP": 0.6}
    assert runner.record_of(PLAN, CELL, run)["scores"] == {"rank1": 0.1, "mAP": 0.1}


def test_of_several_stages_the_last_one_is_recorded_and_of_a_chosen_epoch_its_loss(scored, monkeypatch):
    run = scored(people={"single": {"rank1": 0.4, "mAP": 0.3}})
    (last,) = FACTS["stages"]
    stages = [{**last, "folder": "1-first", "model": "other"}, {**last, "folder": "2-second", "kept": {"by": "val_mAP", "cross_entropy": 0.25}}]
    monkeypatch.setattr(runner.runs, "read_facts", lambda folder: {**FACTS, "dataset": "people", "stages": stages})
    monkeypatch.setattr(runner.runs, "read_log", lambda folder: [{"epoch": 0, "val_rank1": 0.9 if folder.name == "1-first" else 0.6}])
    record = runner.record_of(PLAN, CELL, run)
    assert record["best"]["value"] == 0.6 and record["cross_entropy"] == 0.25 and record["model"] == "m"


def test_of_classes_too(scored):
    record = runner.record_of(PLAN, CELL, scored(images={"classification": {"top1": 0.4, "top5": 0.7}}))
    assert record["scores"] == {"top1": 0.4, "top5": 0.7} and record["multi"] is None and record["kind"] == "classes"


def test_of_several_sets_that_were_trained_on_together_it_keeps_the_means(scored):
    record = runner.record_of(PLAN, CELL, scored(one={"single": {"rank1": 0.4, "mAP": 0.3}, "multi": {"rank1": 0.5, "mAP": 0.4}}, other={"single": {"rank1": 0.6, "mAP": 0.5}}))
    assert record["scores"] == pytest.approx({"rank1": 0.5, "mAP": 0.4}) and record["multi"] is None


def test_what_is_not_scored_has_no_record(scored):
    run = scored(one={"single": {"rank1": 0.4}}, other={"single": {"rank1": 0.6}})
    (run / "eval/other/metrics.json").unlink()
    with pytest.raises(UserError, match="not finished and scored"):
        runner.record_of(PLAN, CELL, run)


def test_a_member_of_an_ensemble_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="gone has no finished stage 'first'.*Put its folder back"):
        runner._network(tmp_path / "gone", "first")
    model = tmp_path / "run/stages/1-first/model.safetensors"
    model.parent.mkdir(parents=True)
    model.touch()
    assert runner._network(tmp_path / "run", "first") == model.parent
    with pytest.raises(UserError, match="run has no finished stage 'frist'.*Its stages: first"):
        runner._network(tmp_path / "run", "frist")


def test_nobody_goes_home_while_the_last_try_is_out(monkeypatch, tmp_path):
    tuned = dataclasses.replace(PLAN, seeds={"default": 2}, tune=Tuning("optimiser.rate", (0.1, 0.2, 0.3), 5, 0))
    both = threading.Barrier(2, timeout=5)

    def run_cell(plan, cell, place, children):
        if cell.value == 0.3:
            time.sleep(0.2)  # the other worker has nothing left by then
        if not cell.held_out:
            both.wait()
        return {"scores": {"mAP": 0.5 if cell.value == 0.2 else 0.4}}

    monkeypatch.setattr(runner, "run_cell", run_cell)
    runner.carry_out(tuned, Place(tmp_path, tmp_path / "record.json", jobs=2), says=lambda line: None)
    assert {cell.seed for cell in records.read(tmp_path / "record.json") if not cell.held_out} == {0, 1}


def test_a_run_waits_for_one_that_trains_its_first_stage():
    flags = {"vanilla": {}, "srdl": {}, "half": {}, "born_again": {"plan.generations": 3}, "early_stopped": {"log.eval_every": 1, "data.holdout_identities": 2}}
    arms = {name: {"plan.name": name, **more} for name, more in flags.items()} | {"hotter": {"loss.temperature": 5}, "steeper": {"optimiser.rate": 0.5}, "wrong": {"plan.epochs": 1}}
    plan = dataclasses.replace(PLAN, arms=arms, ensembles={"both": ("srdl", "half")})

    def shares(one, other, seed=0):
        return runner._shares_start(Cell(one, seed, None, False), [Cell(other, 0, None, False)], lambda cell: runner._beginning(plan, cell, ()))

    assert shares("srdl", "half") and shares("half", "srdl") and shares("srdl", "hotter")
    assert not any(shares("srdl", other) for other in ("vanilla", "born_again", "early_stopped", "steeper", "wrong", "both"))
    assert not shares("wrong", "wrong") and not shares("both", "both") and not shares("srdl", "half", seed=1)


def test_runs_side_by_side_take_a_gpu_each(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    three = Place(tmp_path, tmp_path / "record.json", jobs=3)
    assert [gpu_of(worker, three) for worker in range(3)] == [{"CUDA_VISIBLE_DEVICES": one} for one in ("0", "1", "0")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert gpu_of(1, three) == {"CUDA_VISIBLE_DEVICES": "6"}
    for other in (dataclasses.replace(three, jobs=1), dataclasses.replace(three, extra=("--device", "cuda:1"))):
        assert gpu_of(1, other) == {}
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert gpu_of(1, three) == {}


def test_a_rate_at_which_training_diverges_is_the_worst_and_is_tried_once(tmp_path, monkeypatch):
    """The best of the listed rates is at their end, and the one beyond it diverges: there the search ends."""
    tuned = dataclasses.replace(PLAN, tune=Tuning("optimiser.rate", (0.1, 0.2, 0.4), 5, 0))
    tried = []

    def run(words, place, title, children):
        rate, folder = float(words[words.index("--optimiser.rate") + 1]), place.folder / title
        tried.append(title)
        if rate > 0.5:
            configuration.save(configuration.parse(Config, [*study.flags(tuned, Cell("a", 0, rate, True))], recipes=True), folder / "config.yaml")
            files.write_json(folder / "run.json", {**FACTS, "finished": False, "diverged": "only"})
            raise UserError("the loss is not finite")

    monkeypatch.setattr(runner, "_run", run)
    monkeypatch.setattr(runner, "record_of", lambda plan, cell, folder: {"command": ["train", *study.flags(plan, cell)], "scores": {"mAP": cell.value}, "data_hash": "h"})
    said = []
    place = Place(tmp_path / "runs", tmp_path / "s.json")
    runner.carry_out(tuned, place, says=said.append)
    assert tried == ["a-0.1-s0-tune", "a-0.2-s0-tune", "a-0.4-s0-tune", "a-0.8-s0-tune", "a-0.4-s0"] and "s: a-0.8-s0-tune diverged" in said
    assert records.read(place.record)[Cell("a", 0, 0.8, True)]["precision"] == FACTS["precision"]
    assert "| a | 10.0 | 20.0 | 40.0 **chosen** | diverged |" in results._tries_table(tuned, records.read(place.record))
    runner.carry_out(tuned, place, says=said.append)
    assert len(tried) == 5
    monkeypatch.setattr(runner.study, "flags", lambda plan, cell: ["--config", "cifar100", "--optimiser.rate", "0.9"])
    with pytest.raises(UserError, match="not finite"):  # a run that is no try must not vanish from a table
        runner.run_cell(tuned, Cell("a", 1, 0.9, False), place, None)
