"""Files of indices: changed by one process at a time, written whole or not at all, and checked for damage."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import files, locks
from ..errors import UserError
from ..shell import command

FORMAT = 1
"""Version of the layout of index files; a file of another one is refused."""

MAGIC = b"reid_srdl faiss\n"
"""What the file of a faiss index begins and ends with."""


class Unreadable(UserError):
    """The system refused to read a file; the next attempt may succeed."""


def damaged(path: Path, why: str) -> UserError:
    """What to raise for a file that is not as it was written."""
    return UserError(f"{path} is damaged: {why}", "Copy it again, or build it anew with the command index.")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Wraps the reading of an index's file: an ``OSError`` becomes ``Unreadable``."""
    try:
        yield
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror or error}", "Whoever searches must be allowed to read it; build it anew with the command index where it is gone.") from None


@contextlib.contextmanager
def changing(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Locks an index for one change; yields False where another holds the lock and ``wait`` is off. The lock ends with its process.

    Files that a killed process left half-written are removed.
    """
    path = Path(os.path.realpath(path))  # writing follows links, so the lock is that of the file itself, by whatever link it is named
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(locks.held(path.with_name(f".{path.name}.lock"), wait=wait))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}", "Its folder must be one that can be written to.") from None
        if not mine:
            yield False
            return
        for left in files.temporary(path.parent):
            if re.fullmatch(rf"\.{re.escape(path.name)}\.\d+(-[0-9a-f]+)?\.tmp{re.escape(path.suffix)}", left.name):  # and not of another index whose name begins like this one's
                left.unlink(missing_ok=True)
        yield True


def check_free(path: Path, replace: bool) -> None:
    """Raises ``UserError`` where there is an index at ``path`` already, unless ``replace`` is set."""
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
    """Inode, modification time in ns and size of a file, which change whenever it is replaced."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_description(path: Path, values: Mapping[str, Any]) -> None:
    """Writes the JSON of an index whose vectors are elsewhere (in Milvus), whole or not at all, with a checksum of its own."""
    files.write_json(path, {**values, "sha256": files.sha256_json(values)}, flag="")


def description_of(path: Path) -> dict[str, Any]:
    """The description in whatever lies at ``path``; empty where that is no such JSON, or damaged."""
    try:
        with open(path, "rb") as file:
            if file.read(1) != b"{":  # the file of a faiss index may be larger than the memory
                return {}
        values = files.read_json(path)
        return read_description(path, values) if isinstance(values, dict) else {}
    except (OSError, UserError):
        return {}


def read_description(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The description without its checksum, once that is verified. Raises ``UserError`` where it does not fit."""
    rest = {key: value for key, value in values.items() if key != "sha256"}
    if values.get("sha256") != files.sha256_json(json.loads(json.dumps(rest))):
        raise damaged(path, "its checksum does not fit")
    return rest
