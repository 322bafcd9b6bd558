"""How choices are read and merged. Later ones win: the defaults, ``configs/DATASET.yaml``, ``--config FILE``, flags."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import functools
import importlib.resources
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .. import files
from ..errors import UserError
from .checks import check
from .fields import Config

Options = TypeVar("Options")

SHORT = {"eval_every": "log.eval_every", "skip_corrupt": "data.skip_corrupt"}
"""Flags that are asked for so often that they have a short name."""


class _Parser:
    """jsonargparse on one dataclass, with errors that name the near keys."""

    def __init__(self, kind: type, prog: str, notes: str = "") -> None:
        import jsonargparse

        class Raising(jsonargparse.ArgumentParser):
            def error(self, message: str, ex: Exception | None = None) -> Any:
                raise UserError(*_explain(message, _keys(kind)))

            def format_help(self) -> str:
                # What a reader has to know is whose defaults these are, in place of a list of files. A group as a file of its own has no use here.
                return _GROUP_FILE.sub("", _RECIPE_NOTE.sub(lambda _: self.recipe_note, super().format_help())).replace("``", "`")

        self.kind = kind
        self.parser = Raising(prog=f"reid-srdl {prog}", usage="%(prog)s [options]", description=(kind.__doc__ or "").split("\n")[0], epilog=notes, allow_abbrev=False)
        self.parser.add_argument("--config", action="config", help="a recipe: a YAML file, or the name of one that is installed")
        self.parser.add_class_arguments(kind, as_group=False)

    def parse(self, argv: Sequence[str], defaults: Path | None) -> Any:
        from jsonargparse import ArgumentError

        if defaults is not None:
            self.parser.default_config_files = [str(defaults)]
            self.parser.recipe_note = f"Defaults below are those of the recipe {defaults.stem}. With --dataset NAME or --config RECIPE, --help shows theirs, and --print_config all that holds."
        try:
            parsed = self.parser.parse_args(list(argv))
            _refuse_values_for_groups(parsed, self.kind)
            values = self.parser.instantiate(parsed).as_dict()
        except (argparse.ArgumentError, ArgumentError) as error:
            raise UserError(*_explain(str(error), _keys(self.kind))) from None
        except UnicodeDecodeError:
            raise UserError("the recipe is no text in UTF-8", "A recipe is a YAML file; --print_config prints one.") from None
        values = {key: values[key] for key in (f.name for f in dataclasses.fields(self.kind))}
        options = _built(self.kind, values)
        _refuse_nulls(options)
        return _checked(options)


def _refuse_nulls(options: Any) -> None:
    """``null`` in a recipe for what has to have a value."""
    for key, kinds in _types(type(options)):
        if type(None) not in kinds and functools.reduce(getattr, key.split("."), options) is None:
            raise UserError(f"{key} is null, and has to have a value", "Leave it out for its default; --help says what it takes.")


def _refuse_values_for_groups(parsed: Any, kind: type, prefix: str = "") -> None:
    """``data: 3`` in a recipe, which jsonargparse takes for the whole group, or for what flags have left of it."""
    defaults = kind()
    for f in dataclasses.fields(kind):
        group = getattr(defaults, f.name)
        if not dataclasses.is_dataclass(group):
            continue
        key, value = prefix + f.name, parsed[f.name]
        if not hasattr(value, "keys") or not all(member.name in value for member in dataclasses.fields(group)):
            raise UserError(f"{key} is a group of options, not one", f"Set what is in it, such as {_keys(type(group), f'{key}.')[0]}.")
        _refuse_values_for_groups(value, type(group), f"{key}.")


def _built(kind: type, values: Any) -> Any:
    """A dataclass from what jsonargparse hands back (nested dataclasses come as such or as dictionaries)."""
    if not isinstance(values, dict):
        return values
    defaults = kind()
    parts = {}
    for f in dataclasses.fields(kind):
        value, default = values[f.name], getattr(defaults, f.name)
        if dataclasses.is_dataclass(default):
            value = _built(type(default), value)
        parts[f.name] = tuple(value) if isinstance(value, list) else value
    return kind(**parts)


def parse(kind: type[Options], argv: Sequence[str], prog: str = "", *, recipes: bool = False, notes: str = "") -> Options:
    """The options of a command from its arguments.

    Args:
        kind: a dataclass with a default for every field.
        argv: arguments; in the names of flags dashes and underscores are the same, and a list is as many words as follow.
        prog: the command, for its help.
        notes: what its help ends with.
        recipes: start from the recipe of the data set that is asked for (``configs/DATASET.yaml``).

    Raises:
        UserError: an unknown key (with the near ones), a value of another type, a recipe that is not there.
    """
    keys = _keys(kind)
    argv = [_underscored(word, keys) for word in argv]
    argv = _recipes_first(_located_recipes(_with_true(_lists_joined(argv, _lists(kind)), _switches(kind))))
    defaults = None
    if recipes:
        dataset = _asked_dataset(argv)
        defaults = recipe(dataset) if dataset else recipe(kind().dataset)  # type: ignore[attr-defined]
    return _Parser(kind, prog, notes).parse(argv, defaults)


def _underscored(word: str, keys: list[str]) -> str:
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    name = name.replace("-", "_")
    if name not in keys and SHORT.get(name) in keys:
        name = SHORT[name]
    return "--" + name + equals + value


def _with_true(argv: list[str], switches: list[str]) -> list[str]:
    """A bare ``--flip`` means ``--flip true``."""
    said = []
    for position, word in enumerate(argv):
        said.append(word)
        ends = position + 1 == len(argv) or argv[position + 1].startswith("--")
        if word.startswith("--") and word[2:] in switches and ends:
            said.append("true")
    return said


def _types(kind: type, prefix: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Each key, and what it may be: of an Optional, each of its types."""
    defaults, types = kind(), get_type_hints(kind)
    for f in dataclasses.fields(kind):
        value = getattr(defaults, f.name)
        if dataclasses.is_dataclass(value):
            yield from _types(type(value), f"{prefix}{f.name}.")
        else:
            one = types[f.name]
            yield prefix + f.name, get_args(one) if get_origin(one) is Union else (one,)


def _switches(kind: type) -> list[str]:
    return [key for key, kinds in _types(kind) if bool in kinds]


def _lists(kind: type) -> dict[str, bool]:
    """The keys that take lists, and whether these are of words (or else of numbers)."""
    return {key: str in get_args(one) for key, kinds in _types(kind) for one in kinds if get_origin(one) is tuple}


def _lists_joined(argv: list[str], lists: dict[str, bool]) -> list[str]:
    """``--members a b`` or ``--size 256 128`` as the one word that a list is to the parser; one that is written as a list stays."""
    joined, at = [], 0
    while at < len(argv):
        name, _, value = argv[at].partition("=")
        at += 1
        if not name.startswith("--") or name[2:] not in lists:
            joined.append(argv[at - 1])
            continue
        values = [value] if value else []
        while at < len(argv) and not argv[at].startswith("--"):  # a negative number begins with one dash
            values.append(argv[at])
            at += 1
        if lists[name[2:]]:
            whole = values[0] if len(values) == 1 and _is_list(values[0]) else json.dumps(values, ensure_ascii=False)
        else:
            whole = ",".join(each.strip(",") for each in values)
            whole = whole if whole.startswith("[") else f"[{whole}]"
        joined.append(f"{name}={'null' if values == ['null'] else whole}")
    return joined


def _is_list(text: str) -> bool:
    import yaml

    try:
        return isinstance(yaml.safe_load(text), list)
    except yaml.YAMLError:
        return False


def _recipes_first(argv: list[str]) -> list[str]:
    """Flags win over recipes wherever they stand; of several recipes the last wins."""
    recipes: list[str] = []
    others: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--config":
            recipes += [word, *(value for value in [next(words, None)] if value is not None)]
        else:
            (recipes if word.startswith("--config=") else others).append(word)
    return [*recipes, *others]


def _located_recipes(argv: list[str]) -> list[str]:
    """``--config`` takes a file, or the name of an installed recipe from any folder."""
    located = list(argv)
    for position, word in enumerate(argv):
        if word == "--config" and position + 1 < len(argv):
            located[position + 1] = str(_find_recipe(argv[position + 1]))
        elif word.startswith("--config="):
            located[position] = f"--config={_find_recipe(word.partition('=')[2])}"
    return located


def _find_recipe(name: str) -> Path:
    path = Path(name)
    if path.is_file():
        if _yaml(path) is None:
            raise UserError(f"{path} is empty", "A recipe is lines of the form `key: value`; --print_config prints one.")
        return path
    # Installed ones have no folder, but for that of a checkout, which a command may be pasted with from elsewhere.
    found = recipe(path.stem) if path.suffix in ("", ".yaml") and str(path.parent) in (".", "configs") else None
    if found is None:
        near = difflib.get_close_matches(Path(name).stem, recipe_names(), n=3)
        raise UserError(f"there is no recipe {name}", f"Near ones: {', '.join(near) or ', '.join(recipe_names())}.")
    return found


def _recipe_folder() -> Path:
    return Path(str(importlib.resources.files("reid_srdl.configs")))


def recipe_names() -> list[str]:
    """Names of the installed recipes."""
    return sorted(path.stem for path in _recipe_folder().glob("*.yaml"))


def recipe(name: str) -> Path | None:
    """The file of an installed recipe."""
    path = _recipe_folder() / f"{name}.yaml"
    return path if path.is_file() else None


def _asked_dataset(argv: Sequence[str]) -> str | None:
    """The data set that the last flag, or else the last ``--config`` with one, asks for."""
    flag = named = None
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        value = value if equals else (argv[position + 1] if position + 1 < len(argv) else "")
        if name == "--dataset":
            flag = value
        if name == "--config":
            named = (_yaml(Path(value)) or {}).get("dataset", named)
    return named if flag is None else flag


def _yaml(path: Path) -> dict[str, Any] | None:
    import yaml

    try:
        values = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not readable as YAML: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8", "A recipe is a YAML file.") from None
    if values is not None and not isinstance(values, dict):
        raise UserError(f"{path} holds {str(values)[:40]!r}, which is no recipe", "A recipe is lines of the form `key: value`; --print_config prints one.")
    return values


def _keys(kind: type, prefix: str = "") -> list[str]:
    """Names of all fields, nested ones with dots."""
    return [key for key, _ in _types(kind, prefix)]


_RECIPE_NOTE = re.compile(r"default config file locations:\n.*?(?=\n\n)", re.DOTALL)
_GROUP_FILE = re.compile(r"^  --\S+ CONFIG\s+Path to a configuration file\.\n", re.MULTILINE)
_UNKNOWN = (
    re.compile(r"[Uu]nrecognized arguments?: --(?P<key>[\w.\-]+)"),
    re.compile(r"(?:[Kk]ey|[Oo]ption|[Gg]roup key) [\"'](?P<key>[\w.\-]+)[\"'] is not expected"),
    re.compile(r"No action for (?:destination )?key [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"Group [\"'](?P<group>[\w.]+)[\"'] does not accept option [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"[Oo]ption [\"'](?P<key>[\w.\-]+)[\"'] is not accepted"),
    re.compile(r"[Dd]oes not accept (?:nested )?key [\"']?(?P<key>[\w.\-]+)"),
    re.compile(r"[Uu]nexpected keyword argument [\"'](?P<key>[\w.\-]+)[\"']"),
)


def _explain(message: str, keys: list[str]) -> tuple[str, str]:
    """jsonargparse's message as one line, and the way out."""
    if word := re.search(r"[Uu]nrecognized arguments?: ([^-\s]\S*)", message):
        return f"the word {word[1]!r} belongs to no option", "Each choice is named, such as --checkpoint RUN, and stands behind what comes first; --help lists them."
    for pattern in _UNKNOWN:
        if found := pattern.search(message):
            unknown = ".".join(filter(None, [found.groupdict().get("group"), found["key"]]))
            near = difflib.get_close_matches(unknown, keys, n=3, cutoff=0.5)
            tail = unknown.rsplit(".", 1)[-1]
            near += [key for key in keys if difflib.SequenceMatcher(None, key.rsplit(".", 1)[-1], tail).ratio() > 0.75]
            near = list(dict.fromkeys(near))[:4]
            hint = f"Did you mean {' or '.join(near)}?" if near else "--help lists the keys."
            return f"there is no option {unknown!r}", hint
    lines = [line.strip(" -") for line in message.strip().splitlines() if line.strip(" -")]
    return " ".join(lines)[:400], "--print_config shows what is set, --help what each key takes."


def _checked(options: Any) -> Any:
    if isinstance(options, Config):
        check(options)
    return options


def load(path: files.Pathlike) -> Config:
    """A configuration that ``save`` wrote.

    Raises:
        UserError: the file is missing, or holds a key or value that this version does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there", "A run folder holds config.yaml.")
    return _Parser(Config, "config").parse(["--config", str(path)], None)
