"""Whether what is there already was made as it is asked for: a score under another description would be a false one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import config as configuration
from .. import runs
from ..config import Config
from ..errors import UserError
from . import study
from .study import Found, Study

_FREE = ("log", "output", "data_root", "device", "threads", "evaluate", "data.workers", "data.memory_gb", "data.skip_corrupt")
"""What may differ: where a run is and how it is watched."""


def check_records(path: Path, plan: Study, found: Found) -> None:
    """Raises ``UserError`` where a finished cell was trained by other flags than the study now gives it.

    A file of weights counts as such wherever it lies, and one precision for all is taken from the records.
    """
    for cell, record in found.items():
        if cell.arm not in plan.arms or "command" not in record:
            continue
        one, other = (_flags(words) for words in (record["command"][1:], study.flags(plan, cell)))
        if other_keys := sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key)):
            raise UserError(
                f"{path} holds {cell.name} by other settings than {plan.name} has now: {', '.join(other_keys)}",
                "Move the file away to start anew, or take back what was changed.",
            )


def check_run(run: Path, words: Sequence[str]) -> None:
    """Raises ``UserError`` where a run folder was begun by other settings than these flags of ``train``."""
    one, other = (_leaves(dataclasses.asdict(config)) for config in (configuration.load(run / runs.CONFIG), configuration.parse(Config, words, recipes=True)))
    differ = [key for key in other if one.get(key) != other[key] and not (key == "precision" and other[key] == "auto")]
    if differ := [key for key in differ if not any(key == free or key.startswith(f"{free}.") for free in _FREE)]:
        raise UserError(f"the run {run} was begun with other settings: {', '.join(differ)}", "Move it away, or choose another --runs.")


def _flags(words: Sequence[str]) -> dict[str, str]:
    """Of ``train``, name to value, but for what is free."""
    pairs = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    kept = {name: value for name, value in pairs.items() if name != "precision" and not name.startswith("log.")}
    if kept.get("model.weights", "none") not in ("none", "imagenet"):
        kept["model.weights"] = "a file"
    return kept


def _leaves(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested groups as names with dots."""
    found = {}
    for name, value in values.items():
        found |= _leaves(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return found
