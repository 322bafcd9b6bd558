"""Bad input through the command line: one line that names the thing and the way out, code 2, nothing half-written.

A few cases are processes of their own; the others call the same ``main`` in this one, which saves importing torch again for each.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid_srdl import commands, runs
from reid_srdl.config import ModelConfig
from reid_srdl.models import build

TRAIN = [
    "--dataset", "folder", "--output", "runs/run", "--device", "cpu", "--threads", "1", "--model.backbone", "small", "--model.weights", "none",
    "--data.height", "32", "--data.width", "16", "--data.batch", "16", "--optimiser.rate", "0.01", "--plan.epochs", "2",
    "--log.tensorboard", "false", "--precision", "fp32", "--evaluate", "none",
]  # fmt: skip


class Ended:
    """How a command ended: its code, what it printed, and the last line of standard error."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.line = err.rstrip("\n").rpartition("\n")[2]


@pytest.fixture
def reid(tmp_path, monkeypatch, capsys) -> Callable[..., Ended]:
    """``reid("train", …)`` runs ``reid-srdl train …`` in ``tmp_path``, in this process."""
    monkeypatch.chdir(tmp_path)
    for name in ("REID_DATA", "REID_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))

    def run(*argv: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["reid-srdl", *map(str, argv)])
        with pytest.raises(SystemExit) as stopped:
            commands.main()
        return Ended(stopped.value.code, *capsys.readouterr())

    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder: files with their bytes, folders without."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refused(reid, tmp_path) -> Callable[..., str]:
    """Runs a command that must be refused and change nothing; returns the line that says why."""

    def run(*argv: object) -> str:
        before = contents(tmp_path)
        ended = reid(*argv)
        assert ended.code == 2, ended.err
        assert "Traceback" not in ended.err
        assert ended.err.count("reid-srdl ") == ended.line.count("reid-srdl ") and ended.line.startswith(f"reid-srdl {argv[0]}: "), ended.err
        assert contents(tmp_path) == before
        return ended.line

    return run


@pytest.fixture
def data(people, tmp_path) -> Path:
    """A copy of the folder data set, to be spoilt."""
    return Path(shutil.copytree(people.train.root, tmp_path / "photos"))


def saved_model(file: Path, labels: tuple[int, ...], backbone: str = "small") -> Path:
    """A finished network in one file, as a stage leaves it."""
    torch.manual_seed(0)
    runs.save_model(file, build(backbone, len(labels)).eval(), ModelConfig(backbone, "none"), (32, 16), np.array(labels))
    return file


def truncated(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    return file


class Trap:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def unbroken(reid, people, tmp_path_factory) -> Path:
    """The last stage of a run of 4 epochs that nothing happened to; it is trained once."""
    run = tmp_path_factory.getbasetemp() / "unbroken" / "run"
    if not run.exists():
        assert reid("train", *TRAIN, "--plan.epochs", "4", "--data_root", people.train.root, "--output", run).code == 0
    return run / "stages/2-second/model.safetensors"


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
