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


def test_which_precision_makes_sense_where(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr(devices, "has_bf16", lambda device: device.type == "cuda")
    assert [devices.computes(name, cpu) for name in ("fp32", "bf16", "fp16", "auto")] == [True, False, False, False]
    assert [devices.computes(name, cuda) for name in ("fp32", "bf16", "fp16", "auto")] == [True, True, True, False]


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(devices, "_trouble", lambda device: "")
    devices._is_of_use.cache_clear()
    assert [devices.own_device(name) for name in ("auto", "cuda", "cuda:2", "cpu")] == ["auto", "cuda", "cuda:2", "cpu"]
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "one"}.items():
        monkeypatch.setenv(name, value)
    assert [devices.own_device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(UserError, match="several processes cannot share cuda:2. Use --device cuda"):
        devices.own_device("cuda:2")
    joined = []
    monkeypatch.setattr(torch.cuda, "set_device", joined.append)
    monkeypatch.setattr(devices.ranks, "join", lambda *how: joined.append(how))
    devices.join("auto")
    assert joined == [torch.device("cuda", 1), ("nccl", devices.ranks.PATIENCE)]
    monkeypatch.setenv("WORLD_SIZE", "1")
    devices.join("auto")  # alone there is nobody to meet, and torch knows no device without a number
    assert len(joined) == 2
    devices._is_of_use.cache_clear()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU that works")
def test_a_gpu_that_computes_nothing_is_named_and_auto_takes_the_cpu(monkeypatch, capsys):
    """As under a driver that is older than torch wants: it is counted, and cannot be used."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    devices._is_of_use.cache_clear()
    assert devices.choose("auto").type == devices.choose("auto").type == "cpu"
    assert capsys.readouterr().err.count("note: there is a GPU, which cannot be used (") == 1
    with pytest.raises(UserError, match="device cuda cannot be used .* --device cpu"):
        devices.choose("cuda")
    devices._is_of_use.cache_clear()


def test_alone_in_a_job_of_several_tasks(monkeypatch):
    """As where each trains for itself, with a seed of its own."""
    for name, value in {"NTASKS": "4", "PROCID": "3", "LOCALID": "3", "NODEID": "0", "JOB_ID": "123", "JOB_NAME": "train"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    fabric = devices.launch(torch.device("cpu"), "fp32")
    assert (fabric.global_rank, fabric.world_size, fabric.device) == (0, 1, torch.device("cpu"))
