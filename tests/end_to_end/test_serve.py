"""``serve`` as a process: its start and end, and what a socket of one's own can send to it that no client would."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time

import pytest

from .serving import Server

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.slow


def ask(server: Server, method: str, path: str, body=None, **headers) -> tuple[int, dict | bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if "json" in answer.headers.get("Content-Type", "") else content
    finally:
        connection.close()


def alive(server: Server) -> bool:
    return server.process.poll() is None and ask(server, "GET", "/health")[1]["status"] == "ok"


def test_it_says_what_it_serves_and_what_to_open(server):
    assert "gallery.index holds 24 images (faiss)." in server.told and f"Open {server.address}/ (Ctrl-C ends it" in server.told
    assert server.address.startswith("http://127.0.0.1:") and "images that were looked for are not" not in server.told
    status, page = ask(server, "GET", "/")
    assert status == 200 and b"<!DOCTYPE html>" in page and alive(server)


def test_only_this_machine_reaches_it(server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only tells the machine's own address
        except OSError:
            pytest.skip("this machine has no address beside its own loopback")
        outside = probe.getsockname()[0]
    with pytest.raises(OSError), socket.create_connection((outside, server.port), timeout=5):
        pass


def test_a_body_without_a_length_is_cut_off(server):
    def parts():
        yield b"--x\r\nContent-Disposition: form-data; name=image; filename=a.jpg\r\n\r\n"
        for _ in range(40):
            yield bytes(10_000)

    status, told = ask(server, "POST", "/search", parts(), **{"Transfer-Encoding": "chunked", "Content-Type": "multipart/form-data; boundary=x"})
    assert status == 413 and told["error"] == "the request is larger than 0.25 MiB" and alive(server)
    status, told = ask(server, "POST", "/search", bytes(400_000), **{"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 413 and alive(server)


def test_an_endless_body_is_not_read_to_its_end(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 50_000_000:
                line.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
    assert sent < 20_000_000 and alive(server)


def test_lines_that_are_no_request_and_clients_that_go_do_no_harm(server):
    half = b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x"
    for sent in (b"\x16\x03\x01 no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 100_000, half, b""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
            line.sendall(sent)
            time.sleep(0.05)
    assert alive(server)


def test_another_name_of_this_machine_is_not_answered(server):
    status, told = ask(server, "GET", "/health", Host="stranger.example")
    assert status == 403 and "stranger.example" in told["error"]


def test_beyond_this_machine_a_token_is_made_and_printed_as_a_link(served):
    started = Server(served, "--host", "0.0.0.0", "--names", "people.example")
    path = started.link.removeprefix(started.address)
    assert path.startswith("/?token=") and len(path) > 30 and started.told.count(path) == 1 and "not encrypted" in started.told
    assert ask(started, "GET", "/health")[0] == ask(started, "GET", "/")[0] == 401
    assert ask(started, "GET", path)[0] == 200
    assert ask(started, "GET", "/health", Authorization=f"Bearer {path.partition('=')[2]}")[0] == 200
    with socket.create_connection(("127.0.0.1", started.port)):  # who is connected and says nothing does not keep it
        assert started.end(signal.SIGINT)[:2] == (0, "Ended.\n")


SLOW = """
import time
from reid_srdl.retrieval.serve import running, uploads

def decode(*_):
    print("decoding", flush=True)
    time.sleep(600)

uploads.decode, running.GRACE_SECONDS = decode, 1
"""


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
def test_it_ends_soon_while_a_thread_is_busy(served, signals):
    started = Server(served, before=SLOW)
    body = b"--x\r\nContent-Disposition: form-data; name=image; filename=a.jpg\r\n\r\nsomething\r\n--x--\r\n"
    with socket.create_connection(("127.0.0.1", started.port), timeout=60) as line:
        line.sendall(b"POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert started.process.stdout.readline() == "decoding\n"
        for number in signals[:-1]:
            started.process.send_signal(number)
            time.sleep(0.3)
        code, out, err = started.end(signals[-1])
    assert (code, out) == (0, "Ended.\n"), err
