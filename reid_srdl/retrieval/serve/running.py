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
"""Seconds that requests have to finish once the server is told to end."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that an address or port that cannot be had is known before a network is loaded.

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
    """Ends normally on SIGINT and SIGTERM, where uvicorn's own server would raise the signal once more.

    Args:
        config: of uvicorn.
        seconds: within which the header of a request has to arrive. Uvicorn itself waits forever for the rest of a header, and for the first one on a
            connection; each such wait takes one of the connections that a process may have, before any token is asked for.
    """

    def __init__(self, config: uvicorn.Config, seconds: float) -> None:
        super().__init__(config)
        self._seconds = seconds
        self._waiting: dict[tuple[Any, Any], float] = {}  # (connection, its last answered request or none) to the time from which on it is waited for the next

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
                line.transport.abort()  # at once, and not after all is sent: a client that sends nothing may read nothing, too

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
        listening: the socket of ``listen``.
        seconds: within which the header of a request has to arrive.
        ready: is called as soon as requests are answered.
    """
    config = uvicorn.Config(
        _Announced(app, ready), lifespan="on", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS, ws="none"
    )
    _Server(config, seconds).run(sockets=[listening])


def leave() -> None:
    """Ends the process at once, with code 0, where a thread still computes for a request that was given up; else does nothing.

    Python would wait for that thread before it exits, however long it takes, and a thread that returns from torch after Python has shut down aborts the process.
    """
    if pool.computing():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(0)


class _Announced:
    """Calls ``ready`` once the application has started."""

    def __init__(self, app: Guard, ready: Callable[[], None]) -> None:
        self._app, self._ready = app, ready

    async def __call__(self, scope, receive, send) -> None:
        async def sends(message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._ready()

        await self._app(scope, receive, sends if scope["type"] == "lifespan" else send)
