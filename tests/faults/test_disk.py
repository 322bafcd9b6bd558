"""A disk that fills up, and a limit of what a process may write: one line, and once there is room the run goes on to the same bits."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import pytest
from safetensors.torch import load_file

from ..small_disk import resized, small_disk
from .conftest import end_of, go_on


def assert_it_says_so(ended, disk: Path) -> None:
    assert ended.code == 2 and ended.line.startswith("reid-srdl train: cannot write "), ended.said
    assert str(disk) in ended.line and "free some space" in ended.line.lower() and "--output" in ended.line
    for file in disk.rglob("*.safetensors"):
        load_file(file)


@pytest.mark.parametrize("kilobytes", [4, 12, 24, 32, 48, 64, 80, 100, 120])
def test_it_fills_up_at_some_file_and_is_larger_afterwards(start, plan, whole, tmp_path, kilobytes):
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        run = disk / "runs/run"
        assert_it_says_so(start(*plan, "--output", run).wait(), disk)
        resized(disk, 8192)
        ended = go_on(start, plan, run)
        assert ended.code == 0, ended.said
        assert end_of(run) == whole.end


def test_it_fills_up_while_training_goes_on(start, plan, whole, tmp_path):
    """Somebody else takes the space between two states."""
    with small_disk(tmp_path / "disk", 4096) as disk:
        run = disk / "runs/run"
        going = start(*plan, "--output", run, folder=run.parent, at=30, do="stop").stopped()
        before = (run / "resume.pt").read_bytes()
        with contextlib.suppress(OSError), open(disk / "others", "wb", buffering=0) as others:
            while others.write(bytes(4096)):
                pass
        going.send(18)  # SIGCONT
        assert_it_says_so(going.wait(), disk)
        assert (run / "resume.pt").read_bytes() == before
        (disk / "others").unlink()
        assert go_on(start, plan, run).code == 0
        assert end_of(run) == whole.end


def test_tensorboard_has_nothing_to_say_of_its_own(start, plan, tmp_path):
    """It writes in a thread, whose traceback would come beside our line."""
    with small_disk(tmp_path / "disk", 96) as disk:
        words = [word if plan[row - 1] != "--log.tensorboard" else "true" for row, word in enumerate(plan)]
        words += ["--output", disk / "runs/run"]
        assert_it_says_so(start(*words).wait(), disk)


@pytest.mark.parametrize("kilobytes", [2, 16, 30])
def test_a_limit_of_the_size_of_files(start, plan, whole, tmp_path, kilobytes):
    """RLIMIT_FSIZE, which batch systems set: another error than that of a full disk."""
    run = tmp_path / "runs/run"
    going = start(*plan, "--output", run, folder=run.parent, at=0, do="stop").stopped()
    resource.prlimit(going.pid, resource.RLIMIT_FSIZE, (kilobytes * 1024, resource.RLIM_INFINITY))
    going.send(18)
    ended = going.wait()
    assert ended.code == 2 and ended.line.startswith(f"reid-srdl train: cannot write {run}"), ended.said
    assert go_on(start, plan, run).code == 0
    assert end_of(run) == whole.end
