"""Threads that compute for requests: a few at a time, some that wait, and the others are told to come again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from .refused import Refused

Result = TypeVar("Result")


class Pool:
    """Bounded in both: what computes and what waits.

    Args:
        workers: threads.
        waiting: calls that may wait for one.
        prepare: is called in each thread before its first call.
    """

    def __init__(self, workers: int, waiting: int, prepare: Callable[[], Any] | None = None) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="serve", initializer=prepare)
        self._room, self._inside, self._lock = workers + waiting, 0, threading.Lock()

    async def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """What ``function(*args)`` returns. Raises ``Refused`` (503) where too many wait already."""
        with self._lock:
            if self._inside >= self._room:
                raise Refused(503, "the server is busy", "Ask again in a second.", {"Retry-After": "1"})
            self._inside += 1
        # Counted until it has ended and not until somebody stops waiting for it: a thread cannot be called back.
        future: Future[Result] = self._threads.submit(function, *args)
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Waits for what computes; what waits is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)
