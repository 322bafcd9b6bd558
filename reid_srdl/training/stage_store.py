"""The store of finished stages: runs that begin with the same stages train them only once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import files, locks
from ..errors import UserError
from ..runs import AVERAGED, LAST, LOG, MODEL, read_log, read_model

_POLL = 1.0
"""Seconds between two tries of a lock."""


class StageStore:
    """Finished stages under the hash of all that determines them: plans that begin alike train them once.

    The files of a run are hard links to those of the store, so the store may be deleted at any time.

    Args:
        folder: such as ``runs/.stages``.
        says: is told why, where the store cannot be used.
        open: whether it is used; a closed store returns nothing and stores nothing.
    """

    def __init__(self, folder: Path, says: Callable[[str], None] = lambda line: None, *, open: bool = True) -> None:
        self.folder = Path(folder)
        self._open, self._says = open, says

    @contextlib.contextmanager
    def lock(self, key: str, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Holds the lock of a stage, for which it waits while another process trains the same one; calls ``waits`` every second meanwhile.

        A lock ends with its process. Where the folder cannot be written or locked, the store is closed, and a closed one does not wait.
        """
        if not self._open:
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                handle = stack.enter_context(open(self.folder / f"{key}.lock", "w"))
                while not locks.take(handle):
                    waits()
                    time.sleep(_POLL)
            except OSError as error:
                self._open = False
                self._says(f"{self.folder} cannot be used ({error.strerror}): runs that begin alike train alone")
            yield

    def take(self, key: str, target: Path) -> bool:
        """Links a stored stage into ``target``; false where there is none, or a damaged one, which is dropped."""
        stored = self.folder / key
        if not self._open or not (stored / MODEL).is_file():
            return False
        try:
            for name in (LAST, AVERAGED, MODEL):
                if (stored / name).is_file():
                    read_model(stored / name)
            whole = bool(read_log(stored))  # the run has a link to the same file, and may have overwritten it
        except UserError:
            whole = False
        if not whole:
            (stored / MODEL).unlink()
            return False
        _link(stored, target)
        return True

    def put(self, key: str, source: Path) -> None:
        """Stores a finished stage."""
        if self._open:
            _link(source, self.folder / key)


def _link(source: Path, target: Path) -> None:
    for name in (LOG, LAST, AVERAGED, MODEL):  # the model last: it marks a stage as finished
        if (source / name).is_file():
            files.link_or_copy(source / name, target / name)
