"""Locks keep others out, end with their process, and are told about where a disk has none."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from reid_srdl import locks
from reid_srdl.experiments import records
from reid_srdl.experiments.study import Cell
from reid_srdl.retrieval import keeping
from reid_srdl.training import folder

HOLDER = "import sys, time; from reid_srdl import locks; from pathlib import Path\nwith locks.held(Path(sys.argv[1])) as mine: print(mine, flush=True); time.sleep(60)"


@pytest.fixture
def no_locks(monkeypatch):
    """Lustre mounted without them, and some NFS."""

    def flock(*args):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)


def test_a_lock_is_one_process_s_and_ends_with_it(tmp_path):
    path = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "True\n"
            with locks.held(path) as mine:
                assert not mine
        finally:
            other.kill()
    with locks.held(path) as mine, locks.held(path) as again:
        assert mine and not again


def test_without_locks_the_user_is_told_to_see_to_it(tmp_path, no_locks, capsys):
    said = []
    with locks.held(tmp_path / ".lock", says=said.append) as mine:
        assert mine and said == [f"{tmp_path} cannot be locked (Function not implemented): see that no other process writes there meanwhile"]
    with keeping.changing(tmp_path / "gallery.index") as mine:
        assert mine and capsys.readouterr().err.startswith(f"warning: {tmp_path} cannot be locked")
    with folder.claimed(tmp_path / "run", says=said.append):
        assert said[1].startswith(f"{tmp_path / 'run'} cannot be locked")
    cell = Cell("vanilla", 0, None, False)
    records.add(tmp_path / "s.json", cell, {"scores": {}})
    assert list(records.read(tmp_path / "s.json")) == [cell]


def test_what_cannot_be_written_cannot_be_locked(tmp_path):
    with pytest.raises(OSError, match="Is a directory"), locks.held(tmp_path):
        pytest.fail("it is held by nobody")
