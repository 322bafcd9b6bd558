"""The benchmark of the server under load, without the load."""

from __future__ import annotations

import contextlib
import math
import socket
import subprocess
import sys

from benchmarks import serving


def test_a_server_that_died_is_reported(monkeypatch, tmp_path):
    process, memory = subprocess.Popen([sys.executable, "-c", ""]), [100, 100, 100]
    process.wait()
    (tmp_path / "a.jpg").write_bytes(b"a")
    with socket.socket() as taken:  # and no longer, so that nobody listens there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(serving, "_served", lambda folder, setup: contextlib.nullcontext((process, port, [tmp_path / "a.jpg"])))
    monkeypatch.setattr(serving, "_load", lambda *asked: serving.Asked([0.01] * 10))
    monkeypatch.setattr(serving, "_memory", lambda process: memory.pop())
    figures = {figure.what: figure for figure in serving.run(2).figures}
    dead = figures["dead after them"]
    assert dead.value == 1 and not dead.holds and math.isnan(figures["memory after them"].value)
