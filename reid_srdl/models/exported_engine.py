"""What runs an exported file: arrays in, arrays out, whatever library does the work."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from ..errors import UserError, first_line

NAME = "reid_srdl"
"""The key under which a file exported here holds its facts (``ExportFacts``), as JSON."""


@dataclass(frozen=True)
class Port:
    """An input or output of a file.

    Args:
        name: as the file has it.
        dtype: as NumPy calls it.
        shape: with None for each length that is free; None as a whole where even the number of lengths is free.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, eq=False)
class Engine:
    """An opened file.

    Args:
        inputs, outputs: in the order of the file.
        facts: what the file says about itself under ``NAME``; None for a file from elsewhere.
        run: takes the images as the input wants them, returns all outputs.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    facts: str | None
    run: Callable[[np.ndarray], list[np.ndarray]]


def library(name: str) -> ModuleType:
    """An optional library. Raises ``UserError`` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} cannot be imported ({error})", "Install it with: pip install 'reid-srdl[export]'") from None


def unreadable(path: Path, kind: str, error: Exception) -> UserError:
    """The error for a file that is not of the kind that its name says, with the first line of the library's message."""
    return UserError(f"{path} cannot be read as {kind} ({first_line(error)})", "It is damaged, of another kind than its name says, or of a newer version.")
