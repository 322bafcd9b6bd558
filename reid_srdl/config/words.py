"""The words of a command line, made ready for the parser: what people may leave out is added, and recipes come first."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import UserError
from . import recipes
from .keys import keys_of, lists, switches, types_of

SHORT = {"eval_every": "log.eval_every", "skip_corrupt": "data.skip_corrupt"}
"""Flags that are asked for so often that they have a short name."""
_RECIPE = "--config="
_HALF = re.compile("[\ud800-\udfff]")
"""Surrogates: what Python puts in place of bytes in a file's name that are not UTF-8."""


def arranged(argv: Sequence[str], kind: type) -> list[str]:
    """The words as the parser takes them, for a dataclass of options.

    Dashes in names of flags count as underscores, a list is all words up to the next flag, and ``--output=~/runs`` is a path at home, as ``--output ~/runs`` is
    by the shell, which leaves the former as it is.
    """
    keys = keys_of(kind)
    words = [_as_meant(word, keys) for word in argv]
    return _recipes_first(_located_recipes(_with_true(_lists_joined(words, lists(kind)), switches(kind))))


def asked_dataset(argv: Sequence[str]) -> str | None:
    """The data set that arranged words ask for: by the last ``--dataset``, or else by the last recipe that names one."""
    said = [value for name, value in _flags(argv) if name == "dataset"]
    said = said or [values["dataset"] for values in map(_contents, recipes_named(argv)) if "dataset" in values]
    return said[-1] if said else None


def recipes_named(argv: Sequence[str]) -> list[Path]:
    """The files of the recipes in arranged words, in order."""
    return [Path(word.removeprefix(_RECIPE)) for word in argv if word.startswith(_RECIPE)]


def recipes_read(argv: Sequence[str]) -> list[str]:
    """Arranged words with the text of each recipe in place of its path: to read a file, the parser would change the working directory, for all threads."""
    return [_RECIPE + Path(word.removeprefix(_RECIPE)).read_text() if word.startswith(_RECIPE) else word for word in argv]


def texts_said(argv: Sequence[str], kind: type) -> dict[str, str | None]:
    """What arranged words and their recipes set options to that may be a text or null, by key; the last value counts."""
    keys = {key for key, kinds in types_of(kind) if str in kinds and type(None) in kinds}
    said: dict[str, str | None] = {}
    for path in recipes_named(argv):
        said |= {key: text for key, text in _flat(_contents(path)) if key in keys and (text is None or isinstance(text, str))}
    return said | {name: None if value == "null" else value for name, value in _flags(argv) if name in keys}


def _contents(recipe: Path) -> dict[str, Any]:
    return recipes.read(recipe) or {}


def _flags(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each flag that has a value, without its dashes, and the value."""
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if word.startswith("--") and (equals or position + 1 < len(argv)):
            yield name[2:], value if equals else argv[position + 1]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What a recipe says, by keys with dots."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_meant(word: str, keys: list[str]) -> str:
    """A flag with underscores, its long name, and a value in which ``~`` is spelled out; other words as they are."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name not in keys and SHORT.get(name) in keys:
        name = SHORT[name]
    return "--" + name + equals + (os.path.expanduser(value) if "/" in value else value)


def _with_true(argv: list[str], known: list[str]) -> list[str]:
    """A bare ``--flip`` means ``--flip true``."""
    said = []
    for position, word in enumerate(argv):
        said.append(word)
        ends = position + 1 == len(argv) or argv[position + 1].startswith("--")
        if word.startswith("--") and word[2:] in known and ends:
            said.append("true")
    return said


def _lists_joined(argv: list[str], known: dict[str, bool]) -> list[str]:
    """Makes ``--members a b`` or ``--size 256 128`` the single word that the parser takes as a list; what is already written as a list stays as it is."""
    joined, at = [], 0
    while at < len(argv):
        name, _, value = argv[at].partition("=")
        at += 1
        if not name.startswith("--") or name[2:] not in known:
            joined.append(argv[at - 1])
            continue
        values = [value] if value else []
        while at < len(argv) and not argv[at].startswith("--"):  # a negative number begins with one dash
            values.append(argv[at])
            at += 1
        if known[name[2:]]:
            whole = values[0] if len(values) == 1 and _is_list(values[0]) else _as_list(values)
        else:
            whole = ",".join(each.strip(",") for each in values)
            whole = whole if whole.startswith("[") else f"[{whole}]"
        joined.append(f"{name}={'null' if values == ['null'] else whole}")
    return joined


def _as_list(values: Sequence[str]) -> str:
    if odd := next((word for word in values if _HALF.search(word)), None):
        raise UserError(f"the name {odd!a} is not UTF-8, and a list of words holds text", "Rename the file, or name the folder that it is in.")
    # The parser takes neither every character as it is, nor those beyond 16 bits as the two surrogates that JSON writes.
    return re.sub("[^ -~\U00010000-\U0010ffff]", lambda one: f"\\u{ord(one[0]):04x}", json.dumps(values, ensure_ascii=False))


def _is_list(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), list)
    except recipes.NOT_YAML:
        return False


def _recipes_first(argv: list[str]) -> list[str]:
    """Puts recipes first, so that flags win over them wherever they stand; of several recipes the last wins."""
    return sorted(argv, key=lambda word: not word.startswith(_RECIPE))


def _located_recipes(argv: list[str]) -> list[str]:
    """Makes each recipe one word with its path: ``--config`` takes a file or, from any folder, the name of an installed recipe."""
    located = []
    words = iter(argv)
    for word in words:
        if word == "--config" and (name := next(words, None)) is not None:
            word = _RECIPE + name
        located.append(_RECIPE + str(recipes.find(word.removeprefix(_RECIPE))) if word.startswith(_RECIPE) else word)
    return located
