"""Threads that compute for requests: a few at a time, some that wait, and the others are told to come again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from .refused import busy

Result = TypeVar("Result")

PATIENCE_SECONDS = 2.0
"""That what still computes has to be finished when a pool is closed."""

_left: set[Future[Any]] = set()  # what was not


def computing() -> bool:
    """Whether a thread of a pool that was closed computes all the same. It cannot be called back, and Python waits for it before it exits."""
    return not all(future.done() for future in _left)


class Pool:
    """Bounded in both: what computes and what waits.

    Args:
        workers: threads.
        waiting: calls that may wait for one.
        prepare: is called in each thread before its first call.
    """

    def __init__(self, workers: int, waiting: int, prepare: Callable[[], Any] | None = None) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="serve", initializer=prepare)
        self._room, self._lock = workers + waiting, threading.Lock()
        self._inside: set[Future[Any]] = set()

    async def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """What ``function(*args)`` returns. Raises ``Refused`` (503) where too many wait already."""
        with self._lock:
            if len(self._inside) >= self._room:
                raise busy()
            # Counted until it has ended and not until somebody stops waiting for it: a thread cannot be called back.
            future: Future[Result] = self._threads.submit(function, *args)
            self._inside.add(future)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            self._inside.discard(future)

    def close(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Gives up what waits, and waits for what computes, but no longer than this."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            inside = set(self._inside)
        _left.update(wait(inside, seconds).not_done)
