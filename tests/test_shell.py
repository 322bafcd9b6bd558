"""Printed commands run where they are pasted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reid_srdl import shell


@pytest.fixture
def started(monkeypatch, tmp_path):
    """``started(program)`` makes that the program which runs now, with ``python`` and ``reid-srdl`` found in ``tmp_path/bin``."""
    (tmp_path / "bin").mkdir()
    for name in ("python", "reid-srdl"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    def as_if(program: Path | str) -> str:
        monkeypatch.setattr(sys, "argv", [str(program)])
        return shell.command("eval", "--checkpoint", Path("my runs/a"), "--images", "DIR")

    return as_if


WORDS = "--checkpoint 'my runs/a' --images DIR"


def test_the_form_is_that_of_the_program(started, tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "eval.py").touch()
    assert started(tmp_path / "tools" / "train.py") == f"python {tmp_path}/tools/eval.py {WORDS}"
    assert started("/site/reid_srdl/__main__.py") == f"python -m reid_srdl eval {WORDS}"
    assert started(tmp_path / "bin" / "reid-srdl") == started("anything.py") == f"reid-srdl eval {WORDS}"
    assert started("/opt/env/bin/reid-srdl") == f"/opt/env/bin/reid-srdl eval {WORDS}"
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")
    assert started("/site/reid_srdl/__main__.py") == f"/opt/env/bin/python -m reid_srdl eval {WORDS}"


def test_several_processes_go_on_as_so_many(started, tmp_path, monkeypatch):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "train.py").touch()
    for name, value in {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "0", "MASTER_ADDR": "one"}.items():
        monkeypatch.setenv(name, value)
    goes_on = {}
    for program in (tmp_path / "tools" / "train.py", "/site/reid_srdl/__main__.py", tmp_path / "bin" / "reid-srdl"):
        assert "torchrun" not in started(program)
        goes_on[program] = shell.command("train", "--resume", "runs/a")
    assert list(goes_on.values()) == [
        f"torchrun --nproc-per-node 4 {tmp_path}/tools/train.py --resume runs/a",
        "torchrun --nproc-per-node 4 -m reid_srdl train --resume runs/a",
        "torchrun --nproc-per-node 4 --no-python reid-srdl train --resume runs/a",
    ]
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert shell.command("train").startswith("torchrun --nproc-per-node 4 --nnodes 2 --node-rank 0 --master-addr one ")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "python"))
    assert shell.command("train").startswith("torchrun "), "this environment has none of its own"
    shutil.copytree(tmp_path / "bin", tmp_path / "env")
    (tmp_path / "env" / "torchrun").touch()
    assert shell.command("train").startswith(f"{tmp_path}/env/torchrun "), "it is not active"
    monkeypatch.setenv("PATH", str(tmp_path / "env"))
    (tmp_path / "env" / "torchrun").chmod(0o755)
    assert shell.command("train").startswith("torchrun ")
    monkeypatch.delenv("MASTER_ADDR")
    assert "torchrun" not in shell.command("train"), "this one is alone"


def test_a_script_of_the_checkout_names_its_neighbour(tmp_path):
    tool = Path(__file__).parent.parent / "tools" / "train.py"
    done = subprocess.run([sys.executable, tool, "--dataset", "market1501", "--data-root", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"{tool} --dataset synthetic" in done.stderr
