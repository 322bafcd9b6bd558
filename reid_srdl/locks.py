"""Locks on files, which end with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


def take(handle: IO[str], *, wait: bool = False) -> bool:
    """Takes the lock of an open file; False where another process has it, unless that is waited for.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def held(path: Path, *, wait: bool = False, says: Callable[[str], None] = _warn) -> Iterator[bool]:
    """Holds the lock file ``path``, which is made where it is missing; yields False where another process holds it, unless that is waited for.

    Some network file systems have no locks: ``says`` is told so, and nobody else is taken to hold one.

    Raises:
        OSError: the file cannot be made or written.
    """
    with open(path, "w") as handle:
        try:
            mine = take(handle, wait=wait)
        except OSError as error:
            says(f"{path.parent} cannot be locked ({error.strerror}): see that no other process writes there meanwhile")
            mine = True
        yield mine
