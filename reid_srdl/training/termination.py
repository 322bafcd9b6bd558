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
    """SIGTERM has come. It is no ``Exception``, so that no ``except Exception`` catches it and goes on."""


class Termination:
    """A context in which SIGTERM raises ``Terminated`` in the main thread: at once, or inside ``deferred`` only at its end.

    An error that comes out of the context after ``Terminated`` was raised is replaced by ``Terminated``, since a C++ library that calls Python may turn
    it into an error of its own; a ``UserError`` is kept. An error inside ``deferred`` also stays what it is, although SIGTERM has come.
    Where the context is not entered, SIGTERM does what it did before.

    Attributes:
        asked: whether SIGTERM has come.
    """

    def __init__(self) -> None:
        self.asked = False
        self._deferred = False
        self._raised = False
        self._before: Any = None

    def __enter__(self) -> Termination:
        # Python allows handlers in the main thread only; a program that trains in another thread has to handle signals itself.
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
        """For work that must not be interrupted: it may check ``asked`` where it can stop; at the latest, ``Terminated`` is raised at its end."""
        self._deferred = True
        yield
        self._deferred = False
        self.check()

    def check(self) -> None:
        """Raises ``Terminated`` if SIGTERM has come."""
        if self.asked:
            raise Terminated
