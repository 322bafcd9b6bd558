"""The server as a process: its socket, its start, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from ...errors import UserError
from . import pool
from .guard import Guard

GRACE_SECONDS = 10
"""That requests have to be finished once the server is to end."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens, so that what cannot be had is known before a network is loaded.

    Raises:
        UserError: the port is taken, or not to be had; there is no such address here.
    """
    if not 0 <= port <= 65_535:
        raise UserError(f"there is no port {port}", "Ports are 1 to 65535; 0 takes one that is free.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=128)
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"there is no address {host!r} ({getattr(error, 'strerror', None) or 'no name of a machine'})", "Leave --host out for this machine alone, or name an address of it.") from None
    except OSError as error:
        raise UserError(f"cannot listen at {host} port {port}: {os.strerror(error.errno)}", "Take another with --port; 0 takes one that is free.") from None


def address_of(listening: socket.socket, host: str) -> str:
    """What a browser is given: ``http://HOST:PORT``."""
    name = socket.gethostname() if host.strip("[]") in ("0.0.0.0", "::") else host.strip("[]")
    return f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}"


class _Server(uvicorn.Server):
    """Ends at SIGINT and SIGTERM as something that was asked to, while uvicorn's own would raise the signal once more.

    Args:
        config: of uvicorn.
        seconds: in which the header of a request has to arrive. Uvicorn itself waits without end for the rest of one, and for the first one of a line;
            each takes one of the lines that a process may hold, and nobody has been asked for a token yet.
    """

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._seconds = seconds
        self._waiting: dict[tuple[Any, Any], float] = {}  # line, and the last request that was answered there (none at first), to since when

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            self._close_lines_without_requests(time.monotonic())
        return await super().on_tick(counter)

    def _close_lines_without_requests(self, now: float) -> None:
        lines = ((line, line.cycle) for line in self.server_state.connections)
        self._waiting = {key: self._waiting.get(key, now) for key in lines if key[1] is None or key[1].response_complete}
        for (line, _), since in self._waiting.items():
            if now - since > self._seconds:
                line.transport.abort()  # not once all is sent: who asks nothing may read nothing, too

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(app: Guard, listening: socket.socket, seconds: float, ready: Callable[[], None]) -> None:
    """Serves until a signal ends it.

    Args:
        app: the application.
        listening: of ``listen``.
        seconds: in which the header of a request has to arrive.
        ready: is called as soon as requests are answered.
    """
    config = uvicorn.Config(
        _Announced(app, ready), lifespan="on", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS, ws="none"
    )
    _Server(config, seconds).run(sockets=[listening])


def leave() -> None:
    """Ends the process with code 0 where a thread still computes for somebody who is not waited for any more; else it goes on.

    Python would wait for that thread before it exits, as long as it takes, and one that comes back from torch into a Python that is gone aborts the process.
    """
    if pool.computing():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(0)


class _Announced:
    """Says that the application has started."""

    def __init__(self, app: Guard, ready: Callable[[], None]) -> None:
        self._app, self._ready = app, ready

    async def __call__(self, scope, receive, send) -> None:
        async def sends(message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._ready()

        await self._app(scope, receive, sends if scope["type"] == "lifespan" else send)
