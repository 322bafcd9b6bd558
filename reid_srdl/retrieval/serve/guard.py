"""Around the whole ASGI application: which requests may enter, how large they may be, and the security headers of answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from .access import Access
from .body import Body, Message, Receive
from .limits import Limits
from .refused import Refused, busy

Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

HEADERS = {
    # All comes from this server, so that a script smuggled in by a file's name does not run; blob: is the picture of an upload, shown by its own page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Checks each request before the application sees it.

    Args:
        app: the application.
        access: who is answered.
        limits: what a request may cost.
    """

    def __init__(self, app: App, access: Access, limits: Limits) -> None:
        self._app, self._access, self._limits = app, access, limits
        self._inside = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # nothing here speaks WebSocket
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = Body(receive, headers, self._limits)
        answer = _Answer(send, body)
        try:
            cookie = self._access.check(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)
            if cookie is not None:
                answer.headers["Set-Cookie"] = cookie
            body.check()
            if self._inside >= self._limits.requests:
                raise busy()
        except Refused as refused:
            await answer.refuse(refused)
            return
        self._inside += 1
        try:
            await self._app(scope, body.receive, answer.send)
        except Exception:
            if body.refused is None:
                raise
        finally:
            self._inside -= 1
        if body.refused is not None:
            await answer.refuse(body.refused)


class _Answer:
    """The answer to a request, with the headers of all answers; a refusal replaces what the application says to half a body."""

    def __init__(self, send: Send, body: Body) -> None:
        self._send, self._body, self._begun = send, body, False
        self.headers = dict(HEADERS)

    async def send(self, message: Message) -> None:
        """Passes the application's answer on, unless the body was refused before it began."""
        if self._body.refused is not None and not self._begun:
            return
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *await self._beginning()]}
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        """Sends a refusal, unless an answer has begun."""
        if self._begun:
            return
        content = json.dumps(refused.as_json()).encode()
        headers = _encoded({"Content-Type": "application/json", "Content-Length": str(len(content)), **refused.headers})
        await self._send({"type": "http.response.start", "status": refused.status, "headers": [*headers, *await self._beginning()]})
        await self._send({"type": "http.response.body", "body": content})

    async def _beginning(self) -> list[tuple[bytes, bytes]]:
        self._begun = True
        if not await self._body.let_go():  # else the rest of the body would go on coming in after the answer
            self.headers["Connection"] = "close"
        return _encoded(self.headers)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
