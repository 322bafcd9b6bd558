"""Whether existing records and runs were made with the settings that are asked for now; if not, their scores would be reported under a false description."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import config as configuration
from .. import files, runs
from ..config import Config
from ..errors import UserError
from ..training import plans
from . import study
from .study import Cell, Found, Study

_FREE = ("log", "output", "data_root", "device", "threads", "evaluate", "data.workers", "data.memory_gb", "data.skip_corrupt", "precision")
"""Settings that may differ: where a run is, and how it is logged. For the precision ``check_run`` has a rule of its own."""
_CHOOSING = ("log.eval_every", "log.eval_split")
"""Of the free settings, those that must not differ where a stage keeps its best epoch: they decide which epoch that is."""
_IMAGES = ("dataset", "data.train_identities", "data.holdout_identities", "data.train_per_class", "data.holdout_per_class")
"""Settings that choose a run's training images from those in the folder of its data set."""
_FILES = ("model.weights", "plan.teacher.weights", "plan.teacher.checkpoint")
"""Settings that may name files; these are compared by name and content, wherever they lie."""
_ABSENT = "a file that is not here"
_HASHED = ", SHA-256 "


def of_run(run: Path) -> dict[str, Any]:
    """The settings of a run by name, as its record keeps them: all but those that may differ."""
    return _described(configuration.load(run / runs.CONFIG))


def weights_file(record: Mapping[str, Any]) -> list[str]:
    """The flag with a finished run's file of initial weights, where its record names one that the study does not; else nothing."""
    name, apart, _ = str(record.get("settings", {}).get("model.weights", "")).partition(_HASHED)
    return ["--model.weights", name] if apart and "--model.weights" not in record["command"] else []


def check_records(path: Path, plan: Study, found: Found, extra: Sequence[str] | None = None) -> None:
    """Raises ``UserError`` where a finished cell was trained with other settings than the study has now, or cells with the same data settings on different images.

    Args:
        path: of the records.
        plan: as it is now.
        found: what the records hold.
        extra: further flags of every run; none where they are not known, and then initial weights are not compared.
    """
    trained: dict[tuple[Any, ...], tuple[Cell, str]] = {}
    now = functools.cache(lambda cell: _now(plan, cell, extra))  # reading a configuration takes a while, and seeds share theirs
    for cell, record in found.items():
        if cell.arm not in plan.arms or "command" not in record:
            continue
        if cell.held_out and plan.tune is None:
            continue  # a try for a rate; a study without tuning ignores it
        if differ := _differing(plan, cell, record, now):
            raise UserError(
                f"{path} holds {cell.name} by other settings than {plan.name} has now: {', '.join(differ)}",
                "Move the file away to start anew, or take back what was changed.",
            )
        asked = now(dataclasses.replace(cell, seed=0))
        other, images = trained.setdefault(tuple(asked[key] for key in _IMAGES), (cell, record.get("data_hash", "")))
        if images != record.get("data_hash", ""):
            raise UserError(f"{path} holds {other.name} and {cell.name}, which were trained on different images", "Move the file away to start anew on one set.")


def check_run(run: Path, words: Sequence[str]) -> None:
    """Raises ``UserError`` where a run folder was begun with other settings than these arguments of ``train``."""
    begun, asked = configuration.load(run / runs.CONFIG), configuration.parse(Config, words, recipes=True)
    one, other = _described(begun), _described(asked)
    differ = [key for key in other if not _same(one.get(key), other[key])]
    if asked.precision not in ("auto", begun.precision):
        differ.append("precision")
    if differ:
        raise UserError(f"the run {run} was begun with other settings: {', '.join(differ)}", "Move it away, or choose another --runs.")


def _differing(plan: Study, cell: Cell, record: Mapping[str, Any], now: Callable[[Cell], dict[str, Any]]) -> list[str]:
    if "settings" not in record:  # of an earlier version, which kept the flags alone
        one, other = (_flags(words, now(dataclasses.replace(cell, seed=0))) for words in (record["command"][1:], study.flags(plan, cell)))
        return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    kept = {**_described(Config()), **record["settings"]}
    asked = {**now(dataclasses.replace(cell, seed=0)), "seed": cell.seed}
    # Records of earlier versions lack the settings that choose an epoch.
    return sorted(key for key, value in asked.items() if (key in kept or key not in _CHOOSING) and not _same(kept.get(key), value))


def _now(plan: Study, cell: Cell, extra: Sequence[str] | None) -> dict[str, Any]:
    """The settings that a cell would be trained with; without ``model.weights`` where the extra flags, which may set it, are not known."""
    found = _described(configuration.parse(Config, [*study.flags(plan, cell), *(extra or ())], recipes=True))
    if extra is None and "model.weights" not in plan.settings | plan.arms[cell.arm]:
        found.pop("model.weights")
    return found


def _same(one: Any, other: Any) -> bool:
    return one == other or (_ABSENT in (one, other) and not {one, other} & {"none", "imagenet", None})


def _described(config: Config) -> dict[str, Any]:
    leaves = _leaves(dataclasses.asdict(config))
    leaves |= {key: _content(leaves[key]) for key in _FILES}
    compared = _CHOOSING if any(stage.keep == "best" for stage in plans.build(config)) else ()
    kept = {key: value for key, value in leaves.items() if key in compared or not any(key == free or key.startswith(f"{free}.") for free in _FREE)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in kept.items()}  # as JSON has it


def _content(named: str | None) -> str | None:
    """What identifies a file, wherever it lies: its name and SHA-256; for a run, those of its network. ``none`` and ``imagenet`` stay as they are."""
    if named in ("none", "imagenet", None):
        return named
    path = files.expanded(named)
    try:
        path = runs.checkpoint_file(path)
    except UserError:
        return _ABSENT
    return f"{path.name}{_HASHED}{files.sha256_file(path)}"


def _flags(words: Sequence[str], compared: Container[str]) -> dict[str, str]:
    """Arguments of ``train`` as name to value, without the precision, and of the ``log.`` settings only those in ``compared``."""
    pairs = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    kept = {name: value for name, value in pairs.items() if name != "precision" and (name in compared or not name.startswith("log."))}
    if kept.get("model.weights", "none") not in ("none", "imagenet"):
        kept["model.weights"] = "a file"
    return kept


def _leaves(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested groups as names with dots."""
    found = {}
    for name, value in values.items():
        found |= _leaves(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found
