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
    finally:
        torch.set_num_threads(before)
