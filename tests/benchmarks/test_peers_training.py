import math

import pytest
import torch

from benchmarks import Seconds, peers, peers_training
from benchmarks.peers_training import StepClock

SMALL = peers_training.Setup(networks=("osnet_x0_25",), size=(64, 32), stored=(64, 32), batch=4, steps=1, identities=4, workers=0, threads=1)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setitem(peers_training.NETWORKS, "osnet_x0_25", "torchreid:osnet_x0_25")
    return peers.pictures(tmp_path, SMALL.images, SMALL.stored, SMALL.identities)


def test_both_take_the_same_steps_on_the_same_files(files):
    found = peers_training.times("osnet_x0_25", files, "fp32", 1, SMALL, torch.device("cpu"))
    assert set(found) == {"torchreid", "fp32", "default"}
    assert all(len(seconds) == 1 and 0 < seconds[0] < math.inf for seconds in found.values())


def test_the_default_is_what_a_run_settles_on(files, monkeypatch):
    monkeypatch.setattr(peers_training.precision, "has_bf16", lambda device: False)
    assert peers_training.default_precision("osnet_x0_25", SMALL, torch.device("cpu")) == "fp32"


def test_the_first_step_is_left_out(monkeypatch):
    times = iter([10.0, 16.0])
    monkeypatch.setattr(peers_training, "now", lambda: next(times))
    clock = StepClock(3, torch.device("cpu"))
    for _ in range(4):  # looks at the time after the first step and after the last
        clock.tick()
    assert clock.read() == Seconds(2.0)
