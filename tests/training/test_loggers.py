"""Figures on their way to TensorBoard and to a stand-in for Weights & Biases."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path

import pytest
from lightning_fabric.utilities.rank_zero import rank_zero_only

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.training import loggers
from reid_srdl.training.run import train


class Error(Exception):
    """What ``wandb.Error`` is."""


@pytest.fixture
def wandb(monkeypatch) -> types.ModuleType:
    """Keeps what it is told; ``begun`` are the runs."""
    module = types.ModuleType("wandb")
    module.Error, module.begun = Error, []

    class Run:
        def __init__(self, **given):
            self.given, self.id, self.rows, self.code = given, given["id"], {}, None
            Path(given["dir"], "wandb").mkdir(exist_ok=True)
            module.begun.append(self)

        def log(self, metrics, step):
            self.rows.setdefault(step, {}).update(metrics)

        def finish(self, exit_code):
            self.code = exit_code

    module.init = Run
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def asking(config, **log):
    return dataclasses.replace(config, log=dataclasses.replace(config.log, **log))


def test_a_run_is_logged_there_epoch_by_epoch(config, people, watch, wandb):
    folder = train(asking(config, wandb=True, tensorboard=False), people, watch=watch)
    (run,) = wandb.begun
    rows = [row for stage in runs.finished_stages(folder) for row in runs.read_log(stage)]
    assert sorted(run.rows) == list(range(5)) and [run.rows[step]["loss"] for step in range(5)] == [row["loss"] for row in rows]
    assert run.code == 0 and run.given["name"] == "run" and run.given["config"]["plan"]["epochs"] == 5
    assert not (folder / "tensorboard").exists()


def test_of_a_score_the_log_has_its_columns_and_the_others_are_told_all(config, people, watch, wandb):
    folder = train(asking(config, wandb=True, tensorboard=False, eval_every=2), people, watch=watch, score=lambda network, place: {"mAP": 0.5, "mINP": 0.25})
    row, told = runs.read_log(folder / "stages/1-first")[1], wandb.begun[0].rows[1]
    assert row["val_mAP"] == told["val_mAP"] == 0.5 and "val_mINP" not in row and told["val_mINP"] == 0.25


def test_a_run_that_is_alone_is_logged_whatever_number_its_job_gives_it(config, people, watch, monkeypatch):
    """As in a job of several seeds: lightning reads RANK or SLURM_PROCID when it is imported."""
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    folder = train(config, people, watch=watch)
    assert list((folder / "tensorboard").glob("events.*"))


def test_a_run_that_fails_says_so_and_goes_on_under_its_name(config, people, watch, wandb, monkeypatch):
    def broken(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt
        watch.rows.append(row)

    monkeypatch.setattr(watch, "epoch_ends", broken)
    with pytest.raises(KeyboardInterrupt):
        train(asking(config, wandb=True), people, watch=watch)
    monkeypatch.setattr(watch, "epoch_ends", watch.rows.append)
    train(asking(config, wandb=True), people, watch=watch, resume=True)
    first, second = wandb.begun
    assert (first.code, second.code) == (1, 0) and first.id == second.id and second.given["resume"] == "allow"


def test_one_that_cannot_begin_is_one_line_and_leaves_nothing(config, people, watch, wandb, monkeypatch):
    def refuses(**given):
        Path(given["dir"], "wandb").mkdir()
        raise Error("api_key not configured\n(no-tty)")

    monkeypatch.setattr(wandb, "init", refuses)
    with pytest.raises(UserError, match=r"does not begin: api_key not configured \(no-tty\).*WANDB_MODE=offline"):
        train(asking(config, wandb=True), people, watch=watch)
    assert [path.name for path in Path(config.output).iterdir()] == [".lock"]
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"not installed.*pip install 'reid-srdl\[wandb\]'"):
        train(asking(config, wandb=True), people, watch=watch)


def test_nothing_is_made_unasked(config, tmp_path, wandb):
    assert loggers.of(asking(config, tensorboard=False), tmp_path) == []
    assert [type(logger).__name__ for logger in loggers.of(asking(config, wandb=True), tmp_path)] == ["TensorBoardLogger", "WandbLogger"]
    assert wandb.begun == [] and not list(tmp_path.iterdir())


def test_the_real_one_writes_offline(config, people, watch, monkeypatch):
    pytest.importorskip("wandb", reason="pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = train(asking(config, wandb=True, tensorboard=False), people, watch=watch)
    assert list((folder / "wandb").glob("offline-run-*/*.wandb"))
