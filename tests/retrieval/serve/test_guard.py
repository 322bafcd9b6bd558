"""How many come in at a time."""

from __future__ import annotations

import asyncio
import json

from reid_srdl.retrieval.serve import limits
from reid_srdl.retrieval.serve.access import Access
from reid_srdl.retrieval.serve.guard import Guard
from reid_srdl.retrieval.serve.limits import Limits


def test_more_requests_than_there_is_room_for_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr(limits, "BESIDE", 1)

    async def all_of_it() -> None:
        leave = asyncio.Event()

        async def app(scope, receive, send) -> None:
            await leave.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        guard = Guard(app, Access(hosts=frozenset({"here"})), Limits(workers=1, waiting=0))

        async def asked() -> list[dict]:
            said: list[dict] = []

            async def send(message) -> None:
                said.append(message)

            async def receive() -> dict:
                return {"type": "http.request", "body": b"", "more_body": False}

            await guard({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"here")]}, receive, send)
            return said

        inside = [asyncio.create_task(asked()) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await asked()
        assert refused[0]["status"] == 503 and (b"retry-after", b"1") in refused[0]["headers"]
        assert json.loads(refused[1]["body"]) == {"error": "the server is busy", "hint": "Ask again in a second."}
        leave.set()
        assert [(await one)[0]["status"] for one in inside] == [200, 200]
        assert (await asked())[0]["status"] == 200, "there is room again"

    asyncio.run(all_of_it())
