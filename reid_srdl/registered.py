"""The entries of a registry: a function, or its place as ``"module:function"``, so that nothing is imported before it is needed."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import files

Target = str | Callable[..., Any]


def function_of(target: Target) -> Callable[..., Any]:
    """The function of an entry, imported where the entry only names it."""
    if callable(target):
        return target
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def code_of(function: Callable[..., Any]) -> str | None:
    """Hash of the file that holds a function from outside this package; None for this package's own functions, which have a version.

    It is needed because such a function may be changed under the same name.
    """
    module = inspect.getmodule(function)
    if module is not None and module.__name__.partition(".")[0] == __package__:
        return None
    try:
        return files.sha256_file(Path(inspect.getsourcefile(inspect.unwrap(function)) or ""))
    except (OSError, TypeError):  # typed at a prompt, or otherwise without a file
        return files.sha256_json(repr(getattr(function, "__code__", function)))
