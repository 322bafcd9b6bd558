"""The socket of the server; its start and end are tried by its command (end_to_end/test_serve.py)."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time

import pytest

from reid_srdl.errors import UserError

running = pytest.importorskip("reid_srdl.retrieval.serve.running", reason="uvicorn is not installed", exc_type=ImportError)


def test_a_free_port_is_found_and_told():
    with running.listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert running.address_of(listening, "127.0.0.1") == f"http://127.0.0.1:{port}"
        assert running.address_of(listening, "::1") == f"http://[::1]:{port}"
        assert running.address_of(listening, "0.0.0.0") == f"http://{socket.gethostname()}:{port}"  # nobody can open 0.0.0.0
        with pytest.raises(UserError, match=f"cannot listen at 127.0.0.1 port {port}: .*in use. Take another with --port"):
            running.listen("127.0.0.1", port)


@pytest.mark.parametrize(("host", "port", "message"), [("no host at all", 0, "there is no address"), ("a..b", 0, "there is no address 'a..b'"), ("203.0.113.7", 0, "cannot listen at"), ("127.0.0.1", 70_000, "there is no port 70000")])
def test_what_cannot_be_listened_at_is_said(host, port, message):
    with pytest.raises(UserError, match=message):
        running.listen(host, port)


async def answer(scope, receive, send):
    """An application that answers once it was told what."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    """Of a server in which the header of a request has to arrive within half a second."""
    made, server, ready = [], running._Server, threading.Event()
    monkeypatch.setattr(running, "_Server", lambda *args: made.append(server(*args)) or made[0])
    monkeypatch.setattr(server, "capture_signals", lambda self: contextlib.nullcontext())  # of the main thread only
    with running.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=running.run, args=(answer, listening, 0.5, ready.set))
        thread.start()
        assert ready.wait(60)
        yield listening.getsockname()[1]
        made[0].should_exit = True
        thread.join(60)


WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = WHOLE[:-2]


@pytest.mark.parametrize("sent", [b"", HALF, WHOLE + HALF], ids=["nothing", "half a header", "half of a second one"])
def test_a_line_without_a_request_is_closed(port, sent):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(sent)
        came = b""
        while part := line.recv(1000):
            came += part
    assert came.count(b"200 OK") == sent.count(b"\r\n\r\n")


def test_requests_that_come_and_those_that_are_slow_keep_their_line(port):
    busy = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    busy.connect()
    first = busy.sock
    with contextlib.closing(busy), socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\na")  # bodies are waited for by Body
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            busy.request("GET", "/")
            assert busy.getresponse().read() == b"ok"
            time.sleep(0.05)
        assert busy.sock is first
        slow.sendall(b"b")
        came = b""
        while part := slow.recv(1000):
            came += part
    assert came.startswith(b"HTTP/1.1 200 OK") and came.endswith(b"ok")
