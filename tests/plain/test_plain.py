"""What must work of an installation that has none of the extras; run by ``make plain``, by the Python of such an environment."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import reid_srdl
from reid_srdl.commands import COMMANDS

OURS = "reid-srdl"
NEED_AN_EXTRA = {f"reid_srdl.retrieval.serve.{name}" for name in ("answers", "app", "named", "running")}
"""Modules that are written in the words of an extra's library; nobody imports them before that is known to be there."""
TINY = [
    "--dataset", "synthetic", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--model.backbone", "shufflenet_v2_x0_5", "--model.weights", "none",
    "--data.height", "32", "--data.width", "16", "--data.batch", "64", "--data.train_identities", "8", "--plan.epochs", "2",
]  # fmt: skip


def required(name: str, extra: str = "") -> Iterator[str]:
    """What a distribution requires directly here, with one of its extras; canonical names."""
    for line in importlib.metadata.requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield canonicalize_name(requirement.name)


def needed_without_extras() -> set[str]:
    """Everything that comes with the package, whoever requires it."""
    found, open_ones = set(), [OURS]
    while open_ones:
        name = open_ones.pop()
        if name not in found:
            found.add(name)
            try:
                open_ones += required(name)
            except importlib.metadata.PackageNotFoundError:
                continue  # of another platform
    return found


def only_with_extras() -> set[str]:
    """What only the extras of users bring, those for tests left aside."""
    extras = set(importlib.metadata.metadata(OURS).get_all("Provides-Extra")) - {"test", "dev"}
    return {name for extra in extras for name in required(OURS, extra)} - needed_without_extras()


@pytest.fixture
def run(tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """``run("train", …)`` runs the installed ``reid-srdl train …`` in an empty folder."""
    program = Path(sys.executable).with_name(OURS)

    def started(*argv: object, code: int = 0) -> subprocess.CompletedProcess:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
        done = subprocess.run([program, *map(str, argv)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == code and "Traceback" not in done.stderr, f"{argv}: code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return started


def test_this_is_an_installation_without_extras():
    assert Path(reid_srdl.__file__).is_relative_to(sys.prefix), "this is a checkout, no installation"
    assert len(only_with_extras()) > 8
    here = {canonicalize_name(found.metadata["Name"]) for found in importlib.metadata.distributions()}
    assert not only_with_extras() & here, "the extras of another try are here: remove this environment"


def test_every_module_can_be_imported():
    names = [module.name for module in pkgutil.walk_packages(reid_srdl.__path__, "reid_srdl.") if not module.name.endswith("__main__")]
    assert len(names) > 200 and set(names) >= NEED_AN_EXTRA
    missing = {}
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing[name] = error.name
    assert set(missing) == NEED_AN_EXTRA, missing


def test_the_commands_and_their_help(run):
    overview = run("--help").stdout
    assert all(f"  {name} " in overview for name in COMMANDS)
    for name, option in (("train", "--plan.epochs"), ("eval", "--checkpoint"), ("export", "--format")):
        assert option in run(name, "--help").stdout


def test_the_synthetic_set_is_sound(run):
    assert "synthetic" in run("data", "check", "synthetic").stdout


def test_a_run_is_trained_scored_and_put_to_use(run, tmp_path):
    run("train", *TINY, "--output", "runs/tiny")
    folder = tmp_path / "runs/tiny"
    scores = json.loads((folder / "eval/synthetic/metrics.json").read_text())
    assert 0 < scores["single"]["rank1"] <= 1 and scores["protocol"]["engine"] == "exact"
    assert (folder / "report.html").is_file()
    run("eval", "--checkpoint", folder, "--output", "again", "--rerank", "true")
    pair = [folder / f"eval/synthetic/{part}.npz" for part in ("query", "gallery")]
    run("eval", "--embeddings", *pair, "--output", "files")
    assert json.loads((tmp_path / "files/metrics.json").read_text())["single"] == scores["single"]
    run("calibrate", folder)
    for words, extra in (
        (["eval", "--checkpoint", folder, "--engine", "faiss"], "cpu"),
        (["index", "--embeddings", pair[1], "--output", "gallery.index"], "cpu"),
        (["export", "--checkpoint", folder, "--format", "onnx", "--output", "model.onnx"], "export"),
    ):
        line = run(*words, code=2).stderr.rstrip("\n").rpartition("\n")[2]
        assert "is not installed" in line or "cannot be imported" in line, line
        assert f"pip install 'reid-srdl[{extra}]'" in line, line


def test_the_recipes_are_installed(run):
    assert "osnet" in run("train", "--config", "market1501_osnet_x0_25_cpu", "--print_config").stdout
