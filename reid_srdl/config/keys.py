"""The keys of a dataclass of options, nested ones with dots, and what each may be."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..ranges import range_of


@functools.cache
def types_of(kind: type, prefix: str = "") -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Each key with the types that it takes: for an Optional, each of its types."""
    defaults, types = kind(), get_type_hints(kind)
    found: list[tuple[str, tuple[Any, ...]]] = []
    for f in dataclasses.fields(kind):
        value = getattr(defaults, f.name)
        if dataclasses.is_dataclass(value):
            found += types_of(type(value), f"{prefix}{f.name}.")
        else:
            one = types[f.name]
            found.append((prefix + f.name, get_args(one) if get_origin(one) is Union else (one,)))
    return tuple(found)


def ranges_in(kind: type, prefix: str = "") -> dict[str, str]:
    """The range of each key that has one, in words."""
    defaults, found = kind(), {}
    for f in dataclasses.fields(kind):
        value = getattr(defaults, f.name)
        found |= ranges_in(type(value), f"{prefix}{f.name}.") if dataclasses.is_dataclass(value) else {prefix + f.name: str(range_of(f))}
    return {key: words for key, words in found.items() if words}


def keys_of(kind: type, prefix: str = "") -> list[str]:
    """Names of all fields, nested ones with dots."""
    return [key for key, _ in types_of(kind, prefix)]


def switches(kind: type) -> list[str]:
    return [key for key, kinds in types_of(kind) if bool in kinds]


def lists(kind: type) -> dict[str, bool]:
    """The keys that take lists, and whether these are of words (or else of numbers)."""
    return {key: str in get_args(one) for key, kinds in types_of(kind) for one in kinds if get_origin(one) is tuple}
