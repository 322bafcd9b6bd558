"""The parser's messages as one line each, with the way out."""

from __future__ import annotations

import difflib
import re

_UNKNOWN = (
    re.compile(r"[Uu]nrecognized arguments?: --(?P<key>[\w.\-]+)"),
    re.compile(r"(?:[Kk]ey|[Oo]ption|[Gg]roup key) [\"'](?P<key>[\w.\-]+)[\"'] is not expected"),
    re.compile(r"No action for (?:destination )?key [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"Group [\"'](?P<group>[\w.]+)[\"'] does not accept option [\"'](?P<key>[\w.\-]+)[\"']"),
    re.compile(r"[Oo]ption [\"'](?P<key>[\w.\-]+)[\"'] is not accepted"),
    re.compile(r"[Dd]oes not accept (?:nested )?key [\"']?(?P<key>[\w.\-]+)"),
    re.compile(r"[Uu]nexpected keyword argument [\"'](?P<key>[\w.\-]+)[\"']"),
)


def explained(message: str, keys: list[str]) -> tuple[str, str]:
    """jsonargparse's message as one line, and the way out; ``keys`` are those that there are."""
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
