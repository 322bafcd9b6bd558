"""Processes come together, hear each other, and say what ends them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta

import pytest
import torch

from reid_srdl import ranks
from reid_srdl.errors import UserError


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def said(*codes: str) -> list[str]:
    """What processes of these programs print, each knowing its rank."""
    port, started = free_port(), []
    for rank, code in enumerate(codes):
        env = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(len(codes)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started.append(subprocess.Popen([sys.executable, "-c", "import time, torch; from reid_srdl import ranks; " + code], env=env, stdout=subprocess.PIPE, text=True))
    return [process.communicate(timeout=120)[0].strip() for process in started]


def test_processes_come_from_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert ranks.own() == (0, 1) and ranks.machines() == 1
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "one"}.items():
        monkeypatch.setenv(name, value)
    assert ranks.own() == (3, 4) and ranks.machines() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    with pytest.raises(UserError, match="4 processes, of which this machine has 3. Start as many on each"):
        ranks.machines()


def test_who_has_nobody_to_meet_is_alone(monkeypatch):
    """As in a job of a scheduler that tells each task its number, where nobody said where they meet."""
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert ranks.own() == (0, 1) and ranks.machines() == 1
    ranks.join()
    assert not torch.distributed.is_initialized()
    monkeypatch.setenv("MASTER_ADDR", "one")
    monkeypatch.delenv("WORLD_SIZE")
    assert ranks.own() == (0, 1)


MEETS = "ranks.join(); import os; print(os.environ.get('GLOO_SOCKET_IFNAME')); ranks.wait_for_all()"
ACROSS = "ranks._interface_towards = {'127.0.0.1': 'lo'}.get; " + MEETS


@pytest.mark.skipif(sys.platform != "linux", reason="interfaces are looked up as Linux has them")
def test_machines_meet_on_the_interface_by_which_they_reach_the_first(monkeypatch):
    """The interface of a machine's own name, which is the library's choice, may be one that no other machine reaches."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert said(ACROSS, ACROSS) == ["None", "None"], "processes of one machine meet as they do"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert said(ACROSS, ACROSS) == ["lo", "lo"]
    assert said(MEETS, MEETS) == ["None", "None"], "localhost is nobody's way to this machine"
    assert ranks._interface_with(socket.inet_aton("127.0.0.1")) == "lo" and ranks._interface_with(socket.inet_aton("192.0.2.1")) is None
    assert ranks._interface_towards("127.0.0.1") is None and ranks._interface_towards("nobody.invalid") is None


def test_who_waits_in_vain_says_so(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "MEETING", timedelta(seconds=1))
    with pytest.raises(UserError, match="rank 0 waited .* for all 2 processes to come"):
        ranks.join()
    assert not torch.distributed.is_initialized()


def test_who_was_told_half_of_how_to_meet_says_what_is_missing(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(UserError, match="2 processes meet, and MASTER_PORT is not set. Start them by torchrun"):
        ranks.join()
    monkeypatch.delenv("RANK")
    with pytest.raises(UserError, match="and RANK and MASTER_PORT are not set"):
        ranks.join()


def test_a_broken_connection_is_told_with_its_cause_and_other_errors_are_not(monkeypatch):
    monkeypatch.setattr(ranks, "_FIRST_SAYS", 0)
    monkeypatch.setenv("MASTER_ADDR", "one")
    for world, error, kind in ((2, "NCCL error: Duplicate GPU detected\nand more", UserError), (2, "shapes differ", RuntimeError), (1, "NCCL error", RuntimeError)):
        monkeypatch.setenv("WORLD_SIZE", str(world))
        with pytest.raises(kind, match=error.splitlines()[0]), ranks.among_others():
            raise RuntimeError(error)


@pytest.mark.slow
def test_all_processes_are_waited_for():
    first, second = said("ranks.join(); ranks.wait_for_all(); print(time.time())", "ranks.join(); time.sleep(2); print(time.time()); ranks.wait_for_all()")
    assert float(first) >= float(second)


@pytest.mark.slow
def test_tensors_are_made_alike_by_the_first_process():
    code = "ranks.join(); rank = ranks.own()[0]; a, b = torch.full((2,), rank + 5.0), torch.tensor(rank + 5); ranks.alike([a, b]); print(a.tolist(), b.item())"
    assert said(code, code) == ["[5.0, 5.0] 5"] * 2


@pytest.mark.slow
def test_what_one_asks_for_the_first_hears():
    asks = "ranks.join(); asked = ranks.Request('end'); print(asked.made()); torch.distributed.barrier(); asked.make(); torch.distributed.barrier(); print(asked.made())"
    hears = "ranks.join(); asked = ranks.Request('end'); print(asked.made()); torch.distributed.barrier(); torch.distributed.barrier(); time.sleep(2.1); print(asked.made())"
    assert said(hears, asks) == ["False\nTrue"] * 2


def test_alone_a_request_is_its_own():
    asked = ranks.Request("end")
    assert not asked.made()
    asked.make()
    assert asked.made()
