import os
import socket
import subprocess
import sys

import pytest
import torch

from reid_srdl import devices
from reid_srdl.errors import UserError


def test_choose():
    assert devices.choose("cpu").type == "cpu"
    assert devices.choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_devices_that_are_not_there(name):
    with pytest.raises(UserError, match="device"):
        devices.choose(name)


def test_bf16_is_used_where_the_place_says_so():
    layer = torch.nn.Linear(2, 2)
    with devices.Place(torch.device("cpu"), "bf16").autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
    with devices.Place(torch.device("cpu"), "fp32").autocast():
        assert layer(torch.ones(1, 2)).dtype == torch.float32


def test_processes_come_from_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert devices.processes() == (0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert devices.processes() == (3, 4)


def test_threads(monkeypatch):
    before = torch.get_num_threads()
    try:
        assert devices.set_threads(1) == torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert devices.set_threads(None) == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "1,4")  # of nested levels, the outermost
        assert devices.set_threads(None) == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "0")
        assert devices.set_threads(None) == devices.cores() >= 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_all_processes_are_waited_for(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import pathlib, sys, time; from reid_srdl import devices; {}; devices.wait_for_all(); print(pathlib.Path(sys.argv[1]).exists())"
    started = []
    for rank, before in enumerate(("pass", "time.sleep(2); pathlib.Path(sys.argv[1]).touch()")):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(subprocess.Popen([sys.executable, "-c", code.format(before), tmp_path / "done"], env=env, stdout=subprocess.PIPE, text=True))
    assert [process.communicate(timeout=120)[0].strip() for process in started] == ["True", "True"]


def test_which_precision_makes_sense_where(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(devices, "has_bf16", lambda device: device.type == "cuda")
    assert [devices.computes(name, cpu) for name in ("fp32", "bf16", "fp16", "auto")] == [True, False, False, False]
    assert [devices.computes(name, cuda) for name in ("fp32", "bf16", "fp16", "auto")] == [True, True, True, False]


@pytest.mark.slow
def test_tensors_are_made_alike_by_the_first_process():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import torch; from reid_srdl import devices; devices.join_others(); a, b = torch.full((2,), {}.0), torch.tensor({}); devices.alike([a, b]); print(a.tolist(), b.item())"
    started = []
    for rank in range(2):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(subprocess.Popen([sys.executable, "-c", code.format(rank + 5, rank + 5)], env=env, stdout=subprocess.PIPE, text=True))
    assert [process.communicate(timeout=120)[0].strip() for process in started] == ["[5.0, 5.0] 5"] * 2
