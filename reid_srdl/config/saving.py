"""A configuration as YAML."""

from __future__ import annotations

import dataclasses
from typing import Any

from .. import files
from .fields import Config


def as_yaml(config: Any) -> str:
    """The whole configuration as YAML, which ``--config`` reads again."""
    import yaml

    return yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False)


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
