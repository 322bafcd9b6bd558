"""A run that is really killed (SIGKILL) goes on to the end that it would have had."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from .conftest import SMALL, environment

RUN = ["train", *SMALL, "--model.backbone", "shufflenet_v2_x0_5", "--plan.epochs", "6", "--log.checkpoint_minutes", "0"]


def killed_when(argv: list[str], folder: Path, reached) -> None:
    """Starts a command and kills it as soon as ``reached()``."""
    process = subprocess.Popen([sys.executable, "-m", "reid_srdl", *argv], cwd=folder, env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.soak
def test_killed_in_either_stage(people, command, tmp_path):
    data = ["--data-root", str(people.train.root)]
    command(*RUN, *data, "--output", "whole/run")
    killed = tmp_path / "killed/run"
    log = killed / "stages/{}/log.csv"
    killed_when([*RUN, *data, "--output", str(killed)], tmp_path, lambda: Path(str(log).format("1-first")).exists())
    resume = ["train", "--resume", str(killed)]
    killed_when(resume, tmp_path, lambda: Path(str(log).format("2-second")).exists())
    done = command(*resume)
    assert "stage 1 of 2, first: is finished" in done.stderr
    for stage in ("1-first", "2-second"):
        one, other = (load_file(run / "stages" / stage / "model.safetensors") for run in (tmp_path / "whole/run", killed))
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not (killed / "resume.pt").exists()
