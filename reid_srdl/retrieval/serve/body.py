"""The body of a request as it comes in, with limits on its length and on the time that it takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .limits import Limits
from .refused import Refused

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

_LEFT_SECONDS = 2.0
_GONE: Message = {"type": "http.disconnect"}


class Body:
    """Receives the body for an ASGI application, and cuts it off at the limits.

    Args:
        receive: of ASGI.
        headers: of the request, by their names in small letters.
        limits: bytes and seconds.

    Attributes:
        refused: why the body was cut off, if it was; this is then the answer, whatever the application says.
    """

    def __init__(self, receive: Receive, headers: Mapping[str, str], limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._announced = int(length) if (length := headers.get("content-length", "")).isdecimal() else 0
        self._whole = not self._announced and "transfer-encoding" not in headers  # such a request has no body
        self._asks = headers.get("expect", "").lower() == "100-continue"  # the client sends nothing before the body is asked for
        self._came, self._deadline = 0, 0.0
        self.refused: Refused | None = None

    def check(self) -> None:
        """Raises ``Refused`` (413) where the announced length is above the limit."""
        if self._announced > self._limits.body:
            raise self._too_long()

    async def receive(self) -> Message:
        """The next message. Once the body is too long (413), announced or not, or too slow (408), it says that the client has disconnected."""
        if self.refused is not None:
            return _GONE
        if self._whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._limits.seconds
        try:
            message = await asyncio.wait_for(self._next(), self._deadline - loop.time())
        except asyncio.TimeoutError:
            self.refused = Refused(408, f"the request did not arrive within {self._limits.seconds:g} seconds", "Send it again.")
            return _GONE
        if self._came > self._limits.body:
            self.refused = self._too_long()
            return _GONE
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._asks = False
        self._came += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def let_go(self) -> bool:
        """Before an answer: reads the rest of the body and drops it, within limits of length and time; returns whether all was read.

        A client that is still sending when the connection is closed never sees the answer.
        """
        most = self._came + self._limits.body

        async def drain() -> None:
            while self._came < most and not self._whole:
                await self._next()

        if not self._asks:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(drain(), _LEFT_SECONDS)
        return self._whole

    def _too_long(self) -> Refused:
        return Refused(413, f"the request is larger than {self._limits.body / 2**20:g} MiB", "Send a smaller image.")
