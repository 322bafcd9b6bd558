"""A configuration as YAML."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from .. import files
from .fields import Config

_PLAIN = re.compile(r"[A-Za-z_/.][\w/.:+-]*", re.ASCII)
"""Texts that need no quotes, since they begin like a word; ``null``, ``true`` and their like are quoted by the dumper itself."""


def as_yaml(config: Any) -> str:
    """The whole configuration as YAML, which ``--config`` reads again."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes whatever YAML readers do not agree on: to PyYAML ``1e-3`` is a word, and to the parser of the configuration a number."""

    Dumper.add_representer(str, lambda dumper, word: dumper.represent_scalar("tag:yaml.org,2002:str", word, style=None if _PLAIN.fullmatch(word) else "'"))
    return yaml.dump(_plain(dataclasses.asdict(config)), Dumper=Dumper, sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def save(config: Config, path: files.Pathlike) -> None:
    files.write_text(path, as_yaml(config))


def changed(before: Config, after: Config, prefix: str = "") -> list[str]:
    """Names of the fields in which two configurations differ."""
    names = []
    for f in dataclasses.fields(before):
        one, other = getattr(before, f.name), getattr(after, f.name)
        if dataclasses.is_dataclass(one):
            names += changed(one, other, f"{prefix}{f.name}.")
        elif one != other:
            names.append(prefix + f.name)
    return names
