"""The body of a request as it comes in: not longer than allowed, and not slower."""

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
    """Counts what an application (ASGI) receives.

    Args:
        receive: of ASGI.
        headers: of the request, by their names in small letters.
        limits: bytes and seconds.

    Attributes:
        refused: why there is no more of it, whatever the application makes of that.
    """

    def __init__(self, receive: Receive, headers: Mapping[str, str], limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._announced = int(length) if (length := headers.get("content-length", "")).isdecimal() else 0
        self._waits = headers.get("expect", "").lower() == "100-continue"  # the client sends nothing before it is asked to
        self._came, self._whole, self._deadline = 0, False, 0.0
        self.refused: Refused | None = None

    async def check(self) -> None:
        """Raises ``Refused`` (413) for what announces to be too long."""
        if self._announced > self._limits.body:
            if not self._waits:
                await self._let_go()
            raise self._too_long()

    async def receive(self) -> Message:
        """The next part. Once it has become too long (413), announced or not, or does not come (408), the client is said to have gone."""
        if self.refused is not None:
            return _GONE
        if self._whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._limits.seconds
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - loop.time())
        except asyncio.TimeoutError:
            self.refused = Refused(408, f"the request did not arrive within {self._limits.seconds:g} seconds", "Send it again.", {"Connection": "close"})
            return _GONE
        self._came += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        if self._came > self._limits.body:
            await self._let_go()
            self.refused = self._too_long()
            return _GONE
        return message

    async def _let_go(self) -> None:
        """Reads on for a moment without keeping anything: who still sends when the line is closed never sees the answer."""
        left = self._limits.body

        async def drain() -> None:
            nonlocal left
            while left > 0 and not self._whole:
                message = await self._receive()
                left -= len(message.get("body", b""))
                self._whole = message["type"] != "http.request" or not message.get("more_body", False)

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(drain(), _LEFT_SECONDS)

    def _too_long(self) -> Refused:
        return Refused(413, f"the request is larger than {self._limits.body / 2**20:g} MiB", "Send a smaller image.", {"Connection": "close"})
