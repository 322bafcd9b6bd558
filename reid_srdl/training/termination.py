"""SIGTERM, which schedulers, containers and ``kill`` send before they kill: a run saves its state and ends."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..errors import UserError


class Terminated(BaseException):
    """SIGTERM came. It is no ``Exception``, so that nobody takes it for an error and goes on."""


class Termination:
    """While it is entered, SIGTERM raises ``Terminated`` in the main thread: at once, or not at all inside ``deferred``.

    What fails after it was raised ends as ``Terminated``, too: a library of C++ that calls Python back may make an error of its own of it.
    What had failed before ends as that: SIGTERM is not raised any more behind an error inside ``deferred``, nor in place of a ``UserError``.
    Where it is never entered SIGTERM does what it did before.

    Attributes:
        asked: whether SIGTERM has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False
        self._raised = False
        self._before: Any = None

    def __enter__(self) -> Termination:
        # Python allows handlers in the main thread only; whoever trains in another one looks after signals himself.
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            self._before = signal.signal(signal.SIGTERM, self._arrives)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._handles:
            signal.signal(signal.SIGTERM, self._before)
        if self._raised and isinstance(error, Exception) and not isinstance(error, UserError):
            raise Terminated from error

    def _arrives(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self._deferred:
            self._raised = True
            raise Terminated

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Inside, what must not be cut in two looks at ``asked`` where it can end; at the latest it ends where this does."""
        self._deferred = True
        yield
        self._deferred = False
        self.check()

    def check(self) -> None:
        """Raises ``Terminated`` where it was asked for."""
        if self.asked:
            raise Terminated
