"""What the runs of a study found, in one JSON file that is kept with the code: finished cells are never run again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from .. import files
from ..errors import UserError
from .study import Cell, Found


def read(path: Path) -> Found:
    """The finished cells; none where the file is missing."""
    if not path.is_file():
        return {}
    try:
        return {Cell(**row["cell"]): {key: value for key, value in row.items() if key != "cell"} for row in files.read_json(path)["cells"]}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} holds no records of a study ({error})", "Move it away to start anew.") from None


def add(path: Path, cell: Cell, record: dict[str, Any]) -> Found:
    """Adds a finished cell, and returns all."""
    found = read(path)
    found[cell] = record
    ordered = sorted(found.items(), key=lambda item: (not item[0].held_out, item[0].arm, item[0].seed, item[0].value or 0))
    files.write_json(path, {"cells": [{"cell": dataclasses.asdict(one), **row} for one, row in ordered]})
    return found
