"""Threads that compute for requests: a few requests run at a time, some wait, and further ones are refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from .refused import busy

Result = TypeVar("Result")

PATIENCE_SECONDS = 2.0
"""Seconds that running calls have to finish when a pool is closed."""

_left: set[Future[Any]] = set()  # calls that did not finish by then


def computing() -> bool:
    """Whether a thread of a closed pool is still computing. It cannot be stopped, and Python waits for it before it exits."""
    return not all(future.done() for future in _left)


class Pool:
    """A pool of threads that limits both the calls that run and those that wait.

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
            # Counted until the call has ended, not until its caller stops waiting: a thread cannot be stopped.
            future: Future[Result] = self._threads.submit(function, *args)
            self._inside.add(future)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            self._inside.discard(future)

    def close(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Cancels waiting calls, and waits for running ones, but no longer than ``seconds``."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            inside = set(self._inside)
        _left.update(wait(inside, seconds).not_done)
