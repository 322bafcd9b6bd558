"""The layout of a run folder: the names in it, and which folder or file is meant."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import files
from ..errors import UserError
from ..shell import command

CONFIG = "config.yaml"
FACTS = "run.json"
RESUME = "resume.pt"
REPORT = "report.html"
MODEL = "model.safetensors"
LAST = "last.safetensors"
AVERAGED = "ema.safetensors"
"""``LAST`` and ``AVERAGED``, of a stage that keeps an average of its weights: the last weights and the average. ``MODEL`` is one of the two."""
BEST = "best.safetensors"
"""The best epoch so far of a stage that keeps it, while the stage goes on: as ``best-EPOCH.safetensors``, so that an epoch trained again replaces no other."""
LOG = "log.csv"
REFERENCE = "reference.safetensors"
CALIBRATION = "calibration.json"
METRICS = "metrics.json"
"""Of each folder in ``eval/``."""


def score_file(run: Path, dataset: str, split: str) -> Path:
    """Where the scores of a run's last network on a set are kept; ``split`` is ``test``, or ``val``, the people that were held out."""
    return run / "eval" / (dataset if split == "test" else f"{dataset}-{split}") / METRICS


def stage_folder(run: Path, number: int, name: str) -> Path:
    """Folder of a stage; ``number`` counts from 0, folders from 1."""
    return Path(run) / "stages" / f"{number + 1}-{name}"


def finished_stages(run: Path) -> list[Path]:
    """Folders of the stages that are finished, in their order."""
    folders = [path.parent for path in (Path(run) / "stages").glob(f"[0-9]*-*/{MODEL}") if path.parent.name.split("-")[0].isdigit()]
    return sorted(folders, key=lambda folder: int(folder.name.split("-")[0]))


def checkpoint_file(path: Path) -> Path:
    """The ``model.safetensors`` of a run folder (its last stage), a stage folder, or that file itself."""
    if path.is_file() or (path / MODEL).is_file():
        return path if path.is_file() else path / MODEL
    if not path.exists():
        raise UserError(f"there is no checkpoint {path}", "Give a run folder, a stage folder in it, or a model.safetensors.")
    if not (path / FACTS).is_file():
        raise UserError(f"{path} is no run folder", "A run folder holds run.json and stages/; the command train makes one.")
    last = last_model(path)
    if not last.is_file():
        done = finished_stages(path)
        also = f" Its finished stage can be used as {done[-1]}." if done else ""
        raise UserError(f"the run {path} is not finished", f"{also} Go on with it: {command('train', '--resume', path)}".lstrip())
    return last


def last_model(run: Path) -> Path:
    """Where the network that a run ends with is or will be."""
    return run / "stages" / read_facts(run)["stages"][-1]["folder"] / MODEL


def run_of(path: Path) -> Path | None:
    """The run folder that a path belongs to: itself, a stage folder in it, or a file of weights in either; none outside of runs, even beside a config.yaml."""
    whole = Path(os.path.abspath(path))  # a relative path from inside the run does not show the folders above it
    stage = whole if whole.is_dir() else whole.parent
    candidates = (stage, stage.parent.parent) if stage.parent.name == "stages" else (stage,)
    found = next((folder for folder in candidates if (folder / CONFIG).is_file() and (folder / FACTS).is_file()), None)
    # Relative where the user gave a relative path, since it is printed.
    return found if found is None or path.is_absolute() else Path(os.path.relpath(found))


def read_log(stage: Path) -> list[dict[str, float | None]]:
    """The rows of a stage's ``log.csv`` as numbers, None for an empty cell; a last line that was not written to its end is left out."""
    path = Path(stage) / LOG
    if not path.is_file():
        return []
    with files.reading(path):
        text = path.read_text()
        whole = text[: text.rfind("\n") + 1]
        return [{key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(io.StringIO(whole))]


def read_facts(run: Path) -> dict[str, Any]:
    """The contents of ``run.json``. Raises ``UserError`` for one that no run wrote."""
    facts = files.read_json(Path(run) / FACTS)
    stages = facts.get("stages") if isinstance(facts, dict) else None
    if not stages or not isinstance(stages, list) or not all(isinstance(stage, dict) and "folder" in stage for stage in stages):
        raise UserError(f"{Path(run) / FACTS} is not of a run", "Name a run folder that the command train or adopt made.")
    return facts


def classifies(facts: Mapping[str, Any]) -> bool:
    """Whether the run of these facts (``run.json``) tells classes of images apart, rather than people."""
    return facts.get("kind") == "classes"


def is_adopted(facts: Mapping[str, Any]) -> bool:
    """Whether another toolkit trained the network that these facts (``run.json``) are of; then nothing is known of its training."""
    return "adopted" in facts
