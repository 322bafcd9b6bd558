"""Several processes of one run (gloo): one of them dies, all are told to end, others take over."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reid_srdl import runs

from .conftest import PLAN, Started, until

REAL = [*PLAN, "--model.backbone", "squeezenet1_1", "--plan.epochs", "300", "--data.height", "64", "--data.width", "32"]
"""By a network that torchrun's processes know."""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400", **more}


def torchrun(count: int, argv: list[str], folder: Path) -> subprocess.Popen:
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "reid_srdl", *argv]
    return subprocess.Popen(started, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def process_of_rank(agent: int, rank: int) -> int:
    for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError(f"no process of rank {rank}")


def test_a_rank_that_dies_is_named_and_fewer_go_on(people, tmp_path):
    run = tmp_path / "runs/run"
    going = torchrun(3, ["train", *REAL, "--data_root", str(people.train.root), "--output", str(run)], tmp_path)
    until(lambda: (run / "resume.pt").is_file() or going.poll() is not None, 240)
    dying = process_of_rank(going.pid, 1)
    os.kill(dying, signal.SIGSTOP)
    time.sleep(1)  # The others wait for it now: none is about to save and end when torchrun's SIGTERM comes.
    os.kill(dying, signal.SIGKILL)
    killed = time.monotonic()
    _, said = going.communicate(timeout=120)
    assert going.returncode != 0 and time.monotonic() - killed < 60
    for rank in (0, 2):
        assert f"reid-srdl train: rank {rank} lost another of the 3 processes" in said, said
    root = said.partition("Root Cause")[2]
    assert re.search(r"rank +: 1 ", root) and "Signal 9 (SIGKILL)" in root, said
    assert said.count("Traceback") == 1, "but for torchrun's own, which says who died"
    # Two go on where three were: not to the same bits, which is said, and to an end.
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub("epochs: 300", "epochs: 2", config))
    (run / "resume.pt").unlink()
    facts = runs.read_facts(run)
    ended = torchrun(2, ["train", "--resume", str(run)], tmp_path)
    _, said = ended.communicate(timeout=240)
    assert ended.returncode == 0, said
    assert facts["processes"] == 3 and "note: the run began with processes: 3, now 2" in said
    assert runs.read_facts(run)["finished"]


def ranks(start, count: int, *argv: object, own: dict[int, list[object]] | None = None, **accident) -> list[Started]:
    """As torchrun starts them on one machine, but forked; ``own`` are further arguments of some."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "soak",
        "GROUP_RANK": "0",
    }  # fmt: skip
    return [start(*argv, *(own or {}).get(rank, []), environment={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, **(accident if rank == 0 else {})) for rank in range(count)]


@pytest.mark.parametrize("count", [2, 3])
def test_all_are_told_to_end_and_as_many_go_on_to_the_same_end(start, plan, tmp_path, count):
    """Two to the same bits. Of three or more, DDP adds up gradients in another order in the first step after a start than in all others."""
    whole, run = tmp_path / "whole/run", tmp_path / "runs/run"
    assert [one.wait().code for one in ranks(start, count, *plan, "--output", whole)] == [0] * count
    first, *others = ranks(start, count, *plan, "--output", run, folder=run, at=14, do="stop")
    first.stopped()
    for one in (first, *others):
        one.send(signal.SIGTERM)
    first.send(signal.SIGCONT)
    assert first.wait().code == 143 and first.line == "reid-srdl train: terminated", first.said
    assert all(one.wait().code in (2, 143) for one in others)
    assert [one.wait().code for one in ranks(start, count, "train", "--resume", run)] == [0] * count
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.safetensors"))
    assert len(files) == 3
    for file in files:
        one, other = (load_file(folder / file) for folder in (whole, run))
        for name, value in one.items():
            assert torch.equal(value, other[name]) if count == 2 else torch.allclose(value.float(), other[name].float(), atol=1e-3), (file, name)


def test_one_that_is_told_to_end_has_the_first_save(start, plan, tmp_path):
    run = tmp_path / "runs/run"
    first, second = ranks(start, 2, *plan, "--plan.epochs", "400", "--output", run)
    until(lambda: (run / "resume.pt").is_file(), 120)
    second.send(signal.SIGTERM)
    assert first.wait().code == 143 and first.line == "reid-srdl train: terminated", first.said
    assert second.wait().code in (2, 143)


def test_processes_wait_together_for_a_run_that_began_alike(start, plan, tmp_path):
    """The first tells the others at each second that it waits, so that nobody is given up for lost."""
    begun, after = tmp_path / "runs/begun", tmp_path / "runs/after"
    first, second = ranks(start, 2, *plan, "--output", begun, folder=begun, at=14, do="stop")
    first.stopped()
    waiting = ranks(start, 2, *plan, "--output", after)
    until(lambda: "waits for a run that began alike" in waiting[0].said)
    time.sleep(2.5)
    first.send(signal.SIGCONT)
    assert [one.wait().code for one in (first, second, *waiting)] == [0] * 4, waiting[0].said
    assert waiting[0].said.count("stage 1 of 2, first: waits for") == 1 and runs.read_facts(after)["stages"][0]["shared"]


def test_who_trains_on_other_images_or_into_another_folder_is_named(start, plan, people, tmp_path):
    shutil.copytree(people.train.root, tmp_path / "fewer")
    min(path for path in (tmp_path / "fewer/train").rglob("*") if path.is_file()).write_bytes(b"no image")
    corrupt = ["--data.skip_corrupt", "true", "--output", tmp_path / "runs/run"]
    for one in ranks(start, 2, *plan, *corrupt, own={1: ["--data_root", tmp_path / "fewer"]}):
        assert one.wait().code == 2 and "rank 1 has another list of training images than rank 0" in one.line, one.said
    for one in ranks(start, 2, *plan, "--output", tmp_path / "runs/first", own={1: ["--output", tmp_path / "runs/second"]}):
        assert one.wait().code == 2 and "rank 1 does not find in" in one.line, one.said
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_parts_of_a_batch_are_shared_out_as_the_batch_is(start, plan, tmp_path):
    """Two processes and two parts of a batch: the steps of one process, as far as sums are added up in another order."""
    parts = [*plan, "--optimiser.accumulate", "2", "--plan.name", "vanilla", "--plan.epochs", "2", "--model.backbone", "squeezenet1_1", "--data.height", "64", "--data.width", "32", "--plan.epochs", "2"]
    one, two = tmp_path / "one/run", tmp_path / "two/run"
    assert start(*parts, "--output", one).wait().code == 0
    assert [rank.wait().code for rank in ranks(start, 2, *parts, "--output", two)] == [0, 0]
    alone, shared = (runs.read_log(folder / "stages/1-vanilla") for folder in (one, two))
    for row, other in zip(alone, shared, strict=True):
        assert row["loss"] == pytest.approx(other["loss"], rel=1e-4)


@pytest.mark.parametrize(("begun", "after"), [(1, 2), (2, 1), (2, 3)])
def test_another_number_goes_on_and_says_what_that_means(start, plan, tmp_path, begun, after):
    run = tmp_path / "runs/run"
    first, *others = ranks(start, begun, *plan, "--output", run, folder=run, at=30, do="kill")
    assert first.wait().code == -signal.SIGKILL
    assert all("lost another of the" in one.wait().line and one.code == 2 for one in others)
    first, *others = ranks(start, after, "train", "--resume", run)
    assert [one.wait().code for one in (first, *others)] == [0] * after, first.said
    assert f"note: the run began with processes: {begun}, now {after}; the result will not be bit-identical" in first.said
    assert runs.read_facts(run)["finished"] and len(runs.read_log(run / "stages/2-second")) == 3
    assert not any(one.said.strip().replace("\n", "").count("note:") for one in others)
