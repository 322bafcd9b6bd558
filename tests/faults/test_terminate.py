"""SIGTERM, by which schedulers and containers announce the end."""

from __future__ import annotations

import random
import signal
import time

import pytest

from reid_srdl.training import checkpoint

from .conftest import end_of, go_on, until


@pytest.mark.parametrize("seed", range(5))
def test_it_saves_says_how_it_goes_on_and_ends_with_143(start, plan, whole, tmp_path, seed):
    """No state is saved on the way but after epochs: what there is of an epoch is there because it was asked to end."""
    words, run = [*plan, "--log.checkpoint_minutes", "1000"], tmp_path / "runs/run"
    going = start(*words, "--output", run)
    until(lambda: (run / "config.yaml").is_file())
    time.sleep(random.Random(seed).uniform(0, 0.5) * whole.seconds)
    going.send(signal.SIGTERM)
    if going.wait().code != 0:  # it was faster
        assert going.code == 143 and going.line == "reid-srdl train: terminated"
        assert f"reid-srdl train --resume {run}" in going.out.read_text()
        assert go_on(start, words, run).code == 0
    assert end_of(run) == whole.end


@pytest.mark.parametrize("at", range(9, 17))
def test_not_a_step_is_lost(start, plan, whole, tmp_path, at):
    """Stopped while it saves a state inside an epoch or after one, or appends to the log; told to end, and woken."""
    run = tmp_path / "runs/run"
    going = start(*plan, "--output", run, folder=run, at=at, do="stop").stopped()
    before = checkpoint.load(run / "resume.pt")
    going.send(signal.SIGTERM)
    going.send(signal.SIGCONT)
    assert going.wait().code == 143
    after = checkpoint.load(run / "resume.pt")
    done = [3 * state["epoch"] + state["step"] for state in (before, after)]
    assert before["stage"] == after["stage"] == 0 and done[0] < done[1] <= done[0] + 2
    assert go_on(start, plan, run).code == 0
    assert end_of(run) == whole.end
