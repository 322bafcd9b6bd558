"""Files of indices: one change at a time, whole or not at all, and told apart from what is damaged."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import files
from ..errors import UserError
from ..shell import command

FORMAT = 1
"""Version of the layout of index files; a file of another one is refused."""

MAGIC = b"reid_srdl faiss\n"
"""What the file of a faiss index begins and ends with."""


class Unreadable(UserError):
    """The system refused to read a file; it may let it be read the next time."""


def damaged(path: Path, why: str) -> UserError:
    """What to raise for a file that is not as it was written."""
    return UserError(f"{path} is damaged: {why}", "Copy it again, or build it anew with the command index.")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Around reading the file of an index: what the system refuses is a ``UserError``."""
    try:
        yield
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror or error}", "Whoever searches must be allowed to read it; build it anew with the command index where it is gone.") from None


@contextlib.contextmanager
def changing(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds an index for one change; others wait, or are told that they may not. The lock dies with its process.

    What a killed process left half-written is taken away.
    """
    path = Path(os.path.realpath(path))  # writing follows a link, so whoever comes by the link and whoever does not share a lock
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path.with_name(f".{path.name}.lock"), "w")  # closed by the with below
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}", "Its folder must be one that can be written to.") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        for left in files.temporary(path.parent):
            if re.fullmatch(rf"\.{re.escape(path.name)}\.\d+(-[0-9a-f]+)?\.tmp{re.escape(path.suffix)}", left.name):  # and not of a neighbour whose name goes on
                left.unlink(missing_ok=True)
        yield True


def check_free(path: Path, replace: bool) -> None:
    """Raises ``UserError`` where a new index would take the place of another that nobody said to replace."""
    if path.exists() and not replace:
        raise UserError(f"{path} is there already", f"Add to it ({command('index', '--add', 'FILE', '--index', path)}), or build it anew with replace=True, in the command index --replace.")


def backend_of(path: Path) -> str:
    """``faiss`` or ``milvus``, by how the file begins. Raises ``UserError`` for what is no index."""
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
    if start != MAGIC and not start.lstrip().startswith(b"{"):
        raise UserError(f"{path} is no index", "The command index writes such files.")
    return "faiss" if start == MAGIC else "milvus"


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Changes whenever a file is replaced."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_description(path: Path, values: Mapping[str, Any]) -> None:
    """The JSON of an index whose vectors lie elsewhere, whole or not at all, with its own checksum."""
    files.write_json(path, {**values, "sha256": files.sha256_json(values)}, flag="")


def description_of(path: Path) -> dict[str, Any]:
    """The same of whatever lies at ``path``; empty where that is no such JSON, or not whole."""
    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{":  # the file of a faiss index may be larger than the memory
                return {}
        values = files.read_json(path)
        return read_description(path, values) if isinstance(values, dict) else {}
    except (OSError, UserError):
        return {}


def read_description(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Without its checksum, which is looked at. Raises ``UserError`` where it does not fit."""
    rest = {key: value for key, value in values.items() if key != "sha256"}
    if values.get("sha256") != files.sha256_json(json.loads(json.dumps(rest))):
        raise damaged(path, "its checksum does not fit")
    return rest
