"""``kill -9``, wherever it comes: what goes on ends with the bits that it would have had."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from .conftest import end_of, go_on

STEP = 4
"""Of the changes of files; 1 for all of them, which takes four times as long and is for whoever alters what is written when."""


def test_before_a_change_of_a_file(start, plan, whole, tmp_path):
    """Between any two of them the folder is one that a run can go on from, the stage store included."""
    assert whole.changes > 60
    for at in range(0, whole.changes, STEP):
        run = tmp_path / f"{at}/runs/run"
        killed = start(*plan, "--output", run, folder=run.parent, at=at).wait()
        assert killed.code == -signal.SIGKILL
        ended = go_on(start, plan, run)
        assert ended.code == 0, (at, ended.said)
        assert end_of(run) == whole.end, at


@pytest.mark.parametrize("seed", range(3))
def test_again_and_again(start, plan, whole, tmp_path, seed):
    """Each time it goes on it is killed again a few changes later, or in the middle of one."""
    draw = random.Random(seed)
    run, times = tmp_path / "runs/run", 0
    while True:
        ended = go_on(start, plan, run, folder=run.parent, at=draw.randrange(8, 45), do=draw.choice(["kill", "tear"]))
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.said
        times += 1
        assert times < 60, "it does not get on"
    assert times >= 3 and end_of(run) == whole.end


@pytest.mark.parametrize("seed", range(20))
def test_at_any_moment(start, plan, whole, tmp_path, seed):
    """From outside, by the clock: in a step, in the pass for the soft targets, while the bytes of a file are written."""
    run = tmp_path / "runs/run"
    going = start(*plan, "--output", run)
    time.sleep(random.Random(seed).uniform(0, 0.8) * whole.seconds)
    os.kill(going.pid, signal.SIGKILL)
    if going.wait().code != 0:  # else it was faster this time
        assert going.code == -signal.SIGKILL
        ended = go_on(start, plan, run)
        assert ended.code == 0, ended.said
    assert end_of(run) == whole.end
