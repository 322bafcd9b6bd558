"""Runs that meet: in one folder, and at a stage that both begin with."""

from __future__ import annotations

import signal

import pytest

from reid_srdl import runs

from .conftest import end_of, go_on, until


@pytest.mark.parametrize("resumed", [False, True])
def test_a_second_run_in_the_same_folder_is_refused_and_the_first_is_unharmed(start, plan, whole, tmp_path, resumed):
    run = tmp_path / "runs/run"
    first = start(*plan, "--output", run, folder=run.parent, at=20, do="stop").stopped()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    second = start(*(["train", "--resume", run] if resumed else [*plan, "--output", run])).wait()
    assert second.code == 2 and second.line.startswith(f"reid-srdl train: another process is training in {run}"), second.said
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    first.send(signal.SIGCONT)
    assert first.wait().code == 0
    assert end_of(run) == whole.end


def test_the_lock_of_a_killed_process_does_not_block(start, plan, whole, tmp_path):
    run = tmp_path / "runs/run"
    first = start(*plan, "--output", run, folder=run.parent, at=20, do="stop").stopped()
    first.send(signal.SIGKILL)
    assert first.wait().code == -signal.SIGKILL and (run / ".lock").exists()
    assert go_on(start, plan, run).code == 0
    assert end_of(run) == whole.end


@pytest.mark.parametrize("killed", [False, True])
def test_a_stage_that_two_begin_with_is_trained_once(start, plan, whole, tmp_path, killed):
    """The second waits for the first, takes its stage over, or, where the first has died, trains it."""
    one, other = tmp_path / "runs/one", tmp_path / "runs/other"
    first = start(*plan, "--output", one, folder=one, at=20, do="stop").stopped()
    second = start(*plan, "--plan.name", "no_reference", "--output", other)
    until(lambda: "waits for a run that began alike" in second.said)
    first.send(signal.SIGKILL if killed else signal.SIGCONT)
    assert second.wait().code == 0, second.said
    assert first.wait().code == (-signal.SIGKILL if killed else 0)
    assert ("is taken from an earlier run" in second.said) == runs.read_facts(other)["stages"][0]["shared"] == (not killed)
    if killed:
        assert go_on(start, plan, one).code == 0
    assert end_of(one) == whole.end
    models = [run / "stages/1-first/model.safetensors" for run in (one, other)]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert killed or models[0].stat().st_ino == models[1].stat().st_ino


def test_many_at_once_train_it_once(start, plan, whole, tmp_path):
    names = [str(number) for number in range(4)]
    going = [start(*plan, "--output", tmp_path / "runs" / name) for name in names]
    assert [one.wait().code for one in going] == [0] * 4
    shared = [[stage["shared"] for stage in runs.read_facts(tmp_path / "runs" / name)["stages"]] for name in names]
    assert sorted(column.count(False) for column in zip(*shared, strict=True)) == [1, 1]
    ends = [end_of(tmp_path / "runs" / name) for name in names]
    assert all(end == whole.end for end in ends)
