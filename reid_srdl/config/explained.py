"""The parser's messages as one line each, with the way out."""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal, get_args, get_origin

from .keys import types_of

_UNKNOWN = (
    re.compile(r"[Uu]nrecognized arguments?: --(?P<key>[\w.\-]+)"),
    re.compile(r"(?:[Kk]ey|[Oo]ption|[Gg]roup key) [\"'](?P<key>[\w.\-]+)[\"'] is not expected"),
    re.compile(r"No action for (?:destination )?key [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"Group [\"'](?P<group>[\w.]+)[\"'] does not accept option [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"[Oo]ption [\"'](?P<key>[\w.\-]+)[\"'] is not accepted"),
    re.compile(r"[Dd]oes not accept (?:nested )?key [\"']?(?P<key>[\w.\-]+)"),
    re.compile(r"[Uu]nexpected keyword argument [\"'](?P<key>[\w.\-]+)[\"']"),
)


_REFUSED = re.compile(r"Parser key \"(?P<key>[\w.\-]+)\"")
_VALUE = re.compile(r"(?:Got|Given) value: (?P<value>.*)")
_KINDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers"), bool: ("true or false", ""), str: ("a word", "words"), type(None): ("null", "")}


def explained(message: str, kind: type) -> tuple[str, str]:
    """jsonargparse's message as one line, and the way out; ``kind`` is the dataclass of options that it speaks of."""
    types = dict(types_of(kind))
    keys = list(types)
    if word := re.search(r"[Uu]nrecognized arguments?: ([^-\s].*)", message):
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
    if (found := _REFUSED.search(message)) and found["key"] in types:
        values = _VALUE.findall(message)  # for an Optional each of its types reports a value, and the whole one comes last
        return refused(found["key"], values[-1] if values else "", types[found["key"]])
    if found and (inner := [key for key in keys if key.startswith(found["key"] + ".")]):
        return not_one(found["key"], inner)
    lines = [line.strip(" -") for line in message.strip().splitlines() if line.strip(" -")]
    return " ".join(lines)[:400], "--print_config shows what is set, --help what each key takes."


def not_one(key: str, inner: list[str]) -> tuple[str, str]:
    """The message and the hint where a group of options was given a value; ``inner`` are its keys."""
    return f"{key} is a group of options, not one", f"Set what is in it, such as {inner[0]}."


def refused(key: str, value: str, kinds: tuple[Any, ...]) -> tuple[str, str]:
    """The message and the hint where an option was given a value that it does not take; ``kinds`` are its types, as ``types_of`` gives them."""
    choices = [str(choice) for one in kinds if get_origin(one) is Literal for choice in get_args(one)]
    near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
    guess = f"Did you mean {near[0]}? " if near else ""
    takes = [*choices, *(_words(one) for one in kinds if get_origin(one) is not Literal)]
    return f"{key} is {value or 'something else'}", f"{guess}It takes {' or '.join(filter(None, [', '.join(takes[:-1]), takes[-1]]))}."


def _words(one: Any) -> str:
    """What a type takes, in words."""
    if get_origin(one) is not tuple:
        return _KINDS.get(one, (str(one), ""))[0]
    inner = get_args(one)
    many = _KINDS.get(inner[0], ("", str(inner[0])))[1]
    return many if Ellipsis in inner else f"{len(inner)} {many}"
