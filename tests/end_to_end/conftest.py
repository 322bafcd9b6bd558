"""Commands as a user runs them: a process of its own, in an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .serving import Server

SMALL = [
    "--dataset", "folder", "--device", "cpu", "--threads", "1", "--model.weights", "none", "--data.height", "64", "--data.width", "32",
    "--data.batch", "16", "--optimiser.rate", "0.01", "--log.tensorboard", "false", "--precision", "fp32",
]  # fmt: skip
"""Flags of a run that takes seconds."""

Command = Callable[..., subprocess.CompletedProcess]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """``command("train", …)`` runs ``reid-srdl train …`` in ``tmp_path`` and hands back the finished process."""

    def run(*argv: object, check: int | None = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "reid_srdl", *map(str, argv)], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300
        )
        if check is not None:
            assert done.returncode == check, f"{argv}: code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def served(people, tmp_path_factory) -> Path:
    """A folder with a run, an index, and the photographs that it is of."""
    from .serving import make_index, make_run

    home = tmp_path_factory.mktemp("served")
    shutil.copytree(people.gallery.root / "gallery", home / "photos" / "gallery")
    make_run(home / "run", people)
    make_index(home / "gallery.index", home / "run", people, home / "photos")
    return home


@pytest.fixture(scope="session")
def server(served: Path) -> Iterator[Server]:
    """A process that serves it, ended by SIGTERM when all tests are through."""
    from .serving import Server

    started = Server(served, "--max_mb", 0.25)
    yield started
    code, out, err = started.end()
    assert (code, out) == (0, "Ended.\n") and "Traceback" not in err, err
