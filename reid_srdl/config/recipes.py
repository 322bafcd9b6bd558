"""Recipes: installed ones and people's own files."""

from __future__ import annotations

import difflib
import importlib.resources
import reprlib
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError


def recipe_names() -> list[str]:
    """Names of the installed recipes."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def recipe(name: str) -> Path | None:
    """The file of an installed recipe."""
    path = _folder() / f"{name}.yaml"
    return path if path.is_file() else None


def find(name: str) -> Path:
    """A recipe's file, by its path or by the name of an installed one. Raises ``UserError`` where there is none, or where it is empty."""
    path = Path(name)
    if path.is_file():
        if read(path) is None:
            raise UserError(f"{path} is empty", "A recipe is lines of the form `key: value`; --print_config prints one.")
        return path
    # Installed recipes are named without a folder, or with configs/: a command from a checkout may be pasted elsewhere.
    found = recipe(path.stem) if path.suffix in ("", ".yaml") and str(path.parent) in (".", "configs") else None
    if found is None:
        near = difflib.get_close_matches(Path(name).stem, recipe_names(), n=3)
        raise UserError(f"there is no recipe {name}", f"Near ones: {', '.join(near) or ', '.join(recipe_names())}.")
    return found


NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)
"""What PyYAML raises: for a date that does not exist ``ValueError``, for a thousand brackets ``RecursionError``."""


def read(path: Path) -> dict[str, Any] | None:
    """What the file sets; none where it is empty. Raises ``UserError`` for what is no recipe."""
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8", "A recipe is a YAML file.") from None
    except NOT_YAML as error:
        raise UserError(f"{path} is not readable as YAML: {error}") from None
    if values is not None and not isinstance(values, dict):
        raise UserError(f"{path} holds {reprlib.repr(values)}, which is no recipe", "A recipe is lines of the form `key: value`; --print_config prints one.")
    if _contains_itself(values, (), set()):
        raise UserError(f"{path} holds a value that contains itself", "An anchor (&name) must not stand around its own alias (*name).")
    return values


def _contains_itself(value: Any, around: tuple[int, ...], whole: set[int]) -> bool:
    """Whether a YAML value contains itself. ``around``: ids of the values that enclose it; ``whole``: ids of those known not to, since many aliases may lead to one."""
    if not isinstance(value, (dict, list)) or id(value) in whole:
        return False
    if id(value) in around:
        return True
    parts = value.values() if isinstance(value, dict) else value
    if any(_contains_itself(part, (*around, id(value)), whole) for part in parts):
        return True
    whole.add(id(value))
    return False


def _folder() -> Path:
    return Path(str(importlib.resources.files("reid_srdl.configs")))
