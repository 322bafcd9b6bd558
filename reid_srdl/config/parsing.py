"""How choices are read and merged. Later ones win: the defaults, ``configs/DATASET.yaml``, ``--config FILE``, flags."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import glob
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from .. import files
from ..errors import UserError
from ..ranges import check_ranges
from .checks import check
from .explained import explained, not_one
from .fields import Config
from .keys import keys_of, ranges_in, types_of
from .recipes import recipe
from .words import arranged, asked_dataset, recipes_named, recipes_read, texts_said

Options = TypeVar("Options")

_RECIPE_NOTE = re.compile(r"default config file locations:\n.*?(?=\n\n)", re.DOTALL)
_GROUP_FILE = re.compile(r"^  --\S+ CONFIG\s+Path to a configuration file\.\n", re.MULTILINE)


class _Parser:
    """jsonargparse on one dataclass, with errors that name similar keys."""

    def __init__(self, kind: type, prog: str, notes: str = "") -> None:
        import jsonargparse

        class Raising(jsonargparse.ArgumentParser):
            def error(self, message: str, ex: Exception | None = None) -> Any:
                raise UserError(*explained(message, kind))

            def format_help(self) -> str:
                # In place of a list of files, say which recipe the defaults are from. Flags that read a group from a file have no use here.
                return _GROUP_FILE.sub("", _RECIPE_NOTE.sub(lambda _: self.recipe_note, super().format_help())).replace("``", "`")

        self.kind = kind
        self.parser = Raising(prog=f"reid-srdl {prog}", usage="%(prog)s [options]", description=(kind.__doc__ or "").split("\n")[0], epilog=notes, allow_abbrev=False)
        self.parser.add_argument("--config", action="config", help="a recipe: a YAML file, or the name of one that is installed")
        self.parser.add_class_arguments(kind, as_group=False)
        ranges = ranges_in(kind)
        for action in self.parser._actions:
            if action.dest in ranges:
                action.help = f"{action.help} [{ranges[action.dest]}]"

    def parse(self, argv: Sequence[str], defaults: Path | None) -> Any:
        from jsonargparse import ArgumentError

        helps = defaults is not None and bool({"-h", "--help"} & set(argv))
        if helps:
            shown = [defaults, *recipes_named(argv)]
            self.parser.default_config_files = [glob.escape(str(path)) for path in shown]
            self.parser.recipe_note = (
                f"Defaults below are those of {' and then '.join(f'the recipe {path.stem}' for path in shown)}. "
                "With --dataset NAME or --config RECIPE, --help shows theirs, and --print_config all that holds."
            )
        try:
            texts = texts_said(argv, self.kind)
            words = recipes_read(argv if defaults is None or helps else [f"--config={defaults}", *argv])
            parsed = self.parser.parse_args(words)
            # The parser reads a word as YAML, and quoted text of a recipe once more, so that '#secret' and '&name' become null.
            for key, word in texts.items():
                if parsed[key] is None:
                    parsed[key] = word
            _refuse_values_for_groups(parsed, self.kind)
            values = self.parser.instantiate(parsed).as_dict()
        except (argparse.ArgumentError, ArgumentError) as error:
            raise UserError(*explained(str(error), self.kind)) from None
        except UnicodeDecodeError:
            raise UserError("the recipe is no text in UTF-8", "A recipe is a YAML file; --print_config prints one.") from None
        values = {key: values[key] for key in (f.name for f in dataclasses.fields(self.kind))}
        options = _built(self.kind, values)
        _refuse_nulls(options)
        return _checked(options)


def _refuse_nulls(options: Any) -> None:
    """Raises ``UserError`` for ``null`` in a recipe where a value is needed."""
    for key, kinds in types_of(type(options)):
        if type(None) not in kinds and functools.reduce(getattr, key.split("."), options) is None:
            raise UserError(f"{key} is null, and has to have a value", "Leave it out for its default; --help says what it takes.")


def _refuse_values_for_groups(parsed: Any, kind: type, prefix: str = "") -> None:
    """Raises ``UserError`` for a value in place of a group, as in ``data: 3``: jsonargparse takes it for the whole group, or for what flags left of it."""
    defaults = kind()
    for f in dataclasses.fields(kind):
        group = getattr(defaults, f.name)
        if not dataclasses.is_dataclass(group):
            continue
        key, value = prefix + f.name, parsed[f.name]
        if not hasattr(value, "keys") or not all(member.name in value for member in dataclasses.fields(group)):
            raise UserError(*not_one(key, keys_of(type(group), f"{key}.")))
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
        argv: arguments, as people write them (``words``).
        prog: the command, for its help.
        notes: what its help ends with.
        recipes: start from the recipe of the data set that is asked for (``configs/DATASET.yaml``).

    Raises:
        UserError: an unknown key (with similar ones), a value of the wrong type, a recipe that is not there.
    """
    argv = arranged(argv, kind)
    defaults = None
    if recipes:
        dataset = asked_dataset(argv)
        defaults = recipe(dataset) if dataset else recipe(kind().dataset)  # type: ignore[attr-defined]
    return _parsed(kind, prog, notes, argv, defaults)


_reused, _lock = functools.cache(_Parser), threading.Lock()


def _parsed(kind: type, prog: str, notes: str, argv: Sequence[str], defaults: Path | None) -> Any:
    """Parses arranged words. The parser is kept, since making one takes as long as using it; it has state while it parses, so threads take turns."""
    # One that was asked to print its help or its values would do so at every later call.
    prints = any(word in ("-h", "--help") or word.startswith("--print_config") for word in argv)
    with _lock:
        return (_Parser if prints else _reused)(kind, prog, notes).parse(argv, defaults)


def _checked(options: Any) -> Any:
    if isinstance(options, Config):
        check(options)
    else:
        check_ranges(options)
    return options


def load(path: files.Pathlike) -> Config:
    """A configuration that ``save`` wrote.

    Raises:
        UserError: the file is missing, or holds a key or value that this version does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there", "A run folder holds config.yaml.")
    return _parsed(Config, "config", "", [f"--config={path.absolute()}"], None)  # a name may begin with - or ~
