"""What the runs of a study found, in one JSON file that is kept with the code: finished cells are never run again.

The file of a study that has no YAML file (a row of a table) also holds the study itself, so that its page can be written anywhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import files, locks
from ..errors import UserError
from .study import Cell, Found, Study


def read(path: Path) -> Found:
    """The finished cells; none where the file is missing."""
    if not path.is_file():
        return {}
    try:
        return {Cell(**row["cell"]): {key: value for key, value in row.items() if key != "cell"} for row in _content(path)["cells"]}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} holds no records of a study ({error})", "Move it away to start anew.") from None


def _content(path: Path) -> dict[str, Any]:
    content = files.read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no records of a study (it is no JSON object)", "Move it away to start anew.")
    return content


def read_study(path: Path) -> Study | None:
    """The study that a file of records describes; none where the study has a YAML file instead."""
    described = _content(path).get("study")
    if described is None:
        return None
    try:
        pairs = tuple((one, other) for one, other in described.pop("compare"))
        ensembles = {name: tuple(members) for name, members in described.pop("ensembles").items()}
        return Study(**described, compare=pairs, ensembles=ensembles)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} describes no study of this version ({error})", "Move it away to start anew.") from None


def grown(path: Path, study: Study) -> Study:
    """The study, extended by what earlier ones of its name left in these records: arms, ensembles, comparisons, settings, and at least as many seeds."""
    before = read_study(path) if path.is_file() else None
    if before is None:
        return study
    return dataclasses.replace(
        study,
        arms={**before.arms, **study.arms},
        ensembles={**before.ensembles, **study.ensembles},
        seeds=_most_seeds(before, study),
        compare=tuple(dict.fromkeys([*before.compare, *study.compare])),
        settings={**before.settings, **study.settings},
    )


def describe(path: Path, study: Study) -> None:
    """Writes the study into its file of records, extended (``grown``) by what that held before."""
    with _locked(path):
        study = grown(path, study)
        cells = files.read_json(path)["cells"] if path.is_file() else []
        files.write_json(path, {"study": {**dataclasses.asdict(study), "tune": None}, "cells": cells}, "--records")


def _most_seeds(*both: Study) -> dict[str, int]:
    """For each arm the largest number of seeds that one of the studies asks for; fewer would leave out finished runs."""
    own = {arm for one in both for arm in one.seeds} - {"default"}
    most = {arm: max(one.seeds_of(arm) for one in both if arm in {*one.arms, *one.ensembles, *one.seeds}) for arm in sorted(own)}
    return {"default": max(one.seeds["default"] for one in both), **most}


def add(path: Path, cell: Cell, record: dict[str, Any]) -> Found:
    """Adds a finished cell, and returns all."""
    with _locked(path):
        found = read(path)
        found[cell] = record
        ordered = sorted(found.items(), key=lambda item: (not item[0].held_out, item[0].arm, item[0].seed, item[0].value or 0))
        kept = {key: value for key, value in (files.read_json(path) if path.is_file() else {}).items() if key != "cells"}
        files.write_json(path, {**kept, "cells": [{"cell": dataclasses.asdict(one), **row} for one, row in ordered]}, "--records")
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Locks a file of records, so that two commands that write into it lose none of each other's cells."""
    files.make_folder(path.parent)
    lock = path.parent / f".{path.name}.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.held(lock, wait=True))
        except OSError as error:
            raise UserError(f"cannot write {lock}: {error.strerror}", "Choose another folder with --records.") from None
        yield
