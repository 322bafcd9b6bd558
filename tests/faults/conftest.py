"""Runs that something happens to: the commands in processes of their own, and a small plan that ends with known bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reid_srdl import runs

HERE = Path(__file__).parent
PLAN = [
    "--dataset", "folder", "--device", "cpu", "--threads", "1", "--model.backbone", "small", "--model.weights", "none", "--data.height", "32",
    "--data.width", "16", "--data.batch", "16", "--optimiser.rate", "0.01", "--plan.epochs", "5", "--log.tensorboard", "false",
    "--log.checkpoint_minutes", "0", "--precision", "fp32", "--evaluate", "none",
]  # fmt: skip
"""Two stages, a state saved at every step: as many changes of files a second as there can be."""


class Server:
    """``forks.py`` in a process."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "400", "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "forks.py"), str(HERE.parent / "conftest.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@dataclass
class Started:
    """A command that runs; ``wait`` says how it ended."""

    server: Server
    pid: int
    out: Path
    errors: Path
    began: float = field(default_factory=time.monotonic)
    code: int | None = None

    def wait(self) -> Started:
        if self.code is None:
            self.code = self.server.ask(wait=self.pid)["code"]
            self.seconds = time.monotonic() - self.began
        assert "Traceback" not in self.errors.read_text(), self.errors.read_text()
        return self

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    @property
    def said(self) -> str:
        return self.errors.read_text()

    @property
    def line(self) -> str:
        """The last line on standard error."""
        return self.said.rstrip("\n").rpartition("\n")[2]

    @property
    def changes(self) -> int:
        """Of files, as far as an accident counted them."""
        return int(Path(f"{self.out}.changes").read_text())

    def stopped(self) -> Started:
        """Waits until it has stopped itself."""
        until(lambda: Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
        return self


def until(reached: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it never came to this"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


Start = Callable[..., Started]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    """``start("train", …)`` runs ``reid-srdl train …`` in ``tmp_path``; ``at=N, do=DEED, folder=DIR`` is its accident.

    ``environment`` holds further variables.
    """
    all_of_them: list[Started] = []

    def begin(*argv: object, folder: Path = tmp_path, at: int = -1, do: str = "kill", environment: dict[str, str] | None = None) -> Started:
        out, errors = (tmp_path / f"{kind}{len(all_of_them)}" for kind in ("out", "errors"))
        errors.touch()
        accident = {"folder": str(folder), "at": at, "do": do}
        words, where = [str(word) for word in argv], {"cwd": str(tmp_path), "output": str(out), "errors": str(errors)}
        pid = server.ask(start=words, **where, accident=accident, environment=environment or {})["pid"]
        all_of_them.append(Started(server, pid, out, errors))
        return all_of_them[-1]

    yield begin
    for one in all_of_them:
        if one.code is None:
            os.kill(one.pid, 9)
            server.ask(wait=one.pid)


@pytest.fixture
def plan(people) -> list[str]:
    """The arguments of ``train`` but for ``--output``."""
    return ["train", *PLAN, "--data_root", str(people.train.root)]


@dataclass(frozen=True)
class Whole:
    """The run that nothing happened to: how it ended, how many changes of files and how many seconds it took."""

    end: dict[str, Any]
    changes: int
    seconds: float


@pytest.fixture
def whole(start: Start, plan: list[str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Whole:
    """It is trained once."""
    cache = request.config.stash.setdefault(_WHOLE, {})
    if not cache:
        run = tmp_path_factory.mktemp("whole") / "runs/run"
        ended = start(*plan, "--output", run, folder=run.parent).wait()
        assert ended.code == 0, ended.said
        cache["whole"] = Whole(end_of(run), ended.changes, ended.seconds)
    return cache["whole"]


_WHOLE = pytest.StashKey[dict[str, Whole]]()


def end_of(run: Path) -> dict[str, Any]:
    """What must not depend on what happened on the way: networks and soft targets byte by byte, and the log but for its times."""
    assert runs.read_facts(run)["finished"] and not (run / runs.RESUME).exists()
    assert not [path for path in run.parent.rglob(".*.tmp*")], "something half-written was left"
    found: dict[str, Any] = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.safetensors")}
    for stage in runs.finished_stages(run):
        rows = runs.read_log(stage)
        found[stage.name] = [{name: row[name] for name in ("epoch", "rate", "loss", "cross_entropy", "imitation", "accuracy")} for row in rows]
    assert len(found) == 5, found.keys()
    return found


def go_on(start: Start, plan: list[str], run: Path, **accident: Any) -> Started:
    """Resumes a run, or, where it was broken off before there was one, starts it again; and waits for its end."""
    begun = (run / runs.CONFIG).is_file()
    return start(*(["train", "--resume", run] if begun else [*plan, "--output", run]), **accident).wait()
