"""What stands in a table of names: a function, or where one is, as ``"module:function"``, so that nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files

Target = str | Callable[..., Any]


def function_of(target: Target) -> Callable[..., Any]:
    """The function itself."""
    if callable(target):
        return target
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def code_of(function: Callable[..., Any]) -> str | None:
    """Hash of the file that a function of somebody else's stands in; none of this package's own, which has a version.

    What it computes may change while its name stays.
    """
    module = inspect.getmodule(function)
    if module is not None and module.__name__.partition(".")[0] == __package__:
        return None
    try:
        return files.sha256_file(Path(inspect.getsourcefile(inspect.unwrap(function)) or ""))
    except (OSError, TypeError):  # typed in, or made of something that has no file
        return files.sha256_json(repr(getattr(function, "__code__", function)))
