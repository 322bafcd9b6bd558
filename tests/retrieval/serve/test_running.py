"""The socket of the server; its start and end are tried by its command (end_to_end/test_serve.py)."""

from __future__ import annotations

import socket

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
