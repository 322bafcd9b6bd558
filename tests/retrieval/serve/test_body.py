"""The body of a request as it comes in."""

from __future__ import annotations

import asyncio

import pytest

from reid_srdl.retrieval.serve.body import Body
from reid_srdl.retrieval.serve.limits import Limits
from reid_srdl.retrieval.serve.refused import Refused

LIMITS = Limits(body=100)
HASTY = Limits(body=100, seconds=0.2)


class Sender:
    """A client that sends parts, and then goes or says nothing."""

    def __init__(self, *parts: bytes, ends: bool = True) -> None:
        self.parts, self.ends, self.sent = list(parts), ends, 0

    async def __call__(self) -> dict:
        if not self.parts and not self.ends:
            await asyncio.sleep(60)
        if not self.parts:
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        self.sent += len(part)
        return {"type": "http.request", "body": part, "more_body": bool(self.parts) or not self.ends}


def read(body: Body) -> tuple[bytes, str]:
    """What an application receives, and how that ends."""

    async def all_of_it() -> tuple[bytes, str]:
        body.check()
        whole = b""
        while True:
            message = await body.receive()
            whole += message.get("body", b"")
            if message["type"] != "http.request" or not message["more_body"]:
                return whole, message["type"]

    return asyncio.run(all_of_it())


def test_what_is_small_enough_comes_as_it_was_sent():
    body = Body(Sender(b"a" * 60, b"b" * 40), {"content-length": "100"}, LIMITS)
    assert read(body) == (b"a" * 60 + b"b" * 40, "http.request") and body.refused is None


def test_what_announces_to_be_too_long_is_refused_before_it_is_read():
    sender = Sender(b"x" * 101)
    with pytest.raises(Refused) as refused:
        read(Body(sender, {"content-length": "101"}, LIMITS))
    assert refused.value.status == 413 and sender.sent == 0


@pytest.mark.parametrize("headers", [{"transfer-encoding": "chunked"}, {"content-length": "50"}])
def test_what_becomes_too_long_is_refused_when_it_does(headers):
    sender = Sender(*[b"x" * 40] * 1000)
    body = Body(sender, headers, LIMITS)
    whole, end = read(body)
    assert len(whole) <= 100 and end == "http.disconnect" and body.refused.status == 413 and sender.sent == 120


def test_what_is_left_is_read_before_an_answer_as_far_as_it_is_little():
    for parts, left in (([b"x" * 40] * 2, True), ([b"x" * 40] * 1000, False)):
        sender = Sender(*parts)
        assert asyncio.run(Body(sender, {"content-length": "80"}, LIMITS).let_go()) is left and sender.sent <= 100 + 40
    silent = Body(Sender(b"x", ends=False), {"transfer-encoding": "chunked"}, LIMITS)
    assert asyncio.run(asyncio.wait_for(silent.let_go(), 10)) is False
    asks_first = Sender(b"x" * 80)
    assert asyncio.run(Body(asks_first, {"content-length": "80", "expect": "100-continue"}, LIMITS).let_go()) is False and asks_first.sent == 0
    assert asyncio.run(Body(Sender(), {}, LIMITS).let_go()) is True  # there is none


def test_what_does_not_come_is_given_up():
    body = Body(Sender(b"x", ends=False), {"transfer-encoding": "chunked"}, HASTY)
    assert read(body)[1] == "http.disconnect" and body.refused.status == 408


def test_after_the_body_an_application_may_wait_for_the_client_to_go():
    body = Body(Sender(b"x" * 10), {"content-length": "10"}, HASTY)

    async def later() -> str:
        await body.receive()
        await asyncio.sleep(0.3)  # longer than a body may take
        return (await body.receive())["type"]

    assert asyncio.run(later()) == "http.disconnect" and body.refused is None
