"""A server under load: several clients at once against one process on loopback, and then what strangers may send it.

Clients upload images, search for images of the index, look at their pictures and ask how the server is, each as fast as it is
answered. What counts is that nothing fails, that memory stays where it was, and that the process lives through uploads that
are no images; seconds are those of one machine, whose cores the clients share with the server.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import math
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from reid_srdl import retrieval, runs
from reid_srdl.config import ModelConfig
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.seeds import forked

from . import Figure, Report, above_zero, peers, script

_MB = 2**20
_FLAT = 1.05
"""Memory at the end over that at the half of the rounds: above this ratio it counts as growing."""


@dataclass(frozen=True)
class Setup:
    """What is served, and to how many.

    Args:
        backbone: of the network, untrained.
        size: (height, width) of its input and of the images.
        images: in the gallery.
        people: that they show.
        clients: that ask at once.
        seconds: of load in all rounds together.
    """

    backbone: str = "torchreid:osnet_x0_25"
    size: tuple[int, int] = (128, 64)
    images: int = 1000
    people: int = 100
    clients: int = 8
    seconds: float = 60.0


@dataclass
class Asked:
    """The requests of a round: seconds to each answer, and errors in words."""

    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Loads a server for ``repeats`` rounds. Raises ``UserError`` for a single one, whose half and end would be the same."""
    if repeats < 2:
        raise UserError("serving compares memory at the half of its rounds with that at the end, and has one round", "Give --repeats 2 or more.")
    with tempfile.TemporaryDirectory() as name, _served(Path(name), setup) as (process, port, files):
        uploads = [file.read_bytes() for file in files[:64]]
        _load(port, uploads, dataclasses.replace(setup, seconds=min(5.0, setup.seconds / 5)))  # a warm-up, after which nothing is left to be loaded lazily
        memory, rounds = [_memory(process)], []
        for _ in range(repeats):
            rounds.append(_load(port, uploads, dataclasses.replace(setup, seconds=setup.seconds / repeats)))
            memory.append(_memory(process))
        passed = [what for what, body in _malformed(uploads[0]).items() if not _refused(port, body)]
        answered = _health(port) and process.poll() is None
        memory_after = _memory(process) if answered else math.nan
    errors = [error for one in rounds for error in one.errors]
    for line in [*errors[:5], *passed]:
        print(f"  {line}", file=sys.stderr)
    times = [seconds for one in rounds for seconds in one.times]
    cuts = statistics.quantiles(times, n=100)
    figures = [
        Figure("requests", len(times)),
        Figure("errors", len(errors), 0),
        Figure("requests a second", len(times) / setup.seconds),
        Figure("half of the answers within", 1000 * cuts[49], unit="ms"),
        Figure("99 of 100 answers within", 1000 * cuts[98], unit="ms"),
        Figure("memory at the start", memory[0] / _MB, unit="MB"),
        Figure("memory at the half", memory[len(memory) // 2] / _MB, unit="MB"),
        Figure("memory at the end", memory[-1] / _MB, unit="MB"),
        Figure("memory at the end / at the half", memory[-1] / memory[len(memory) // 2], _FLAT),
        Figure("malformed uploads that were not refused", len(passed), 0),
        Figure("memory after them", memory_after / _MB, unit="MB"),
        Figure("dead after them", float(not answered), 0),
    ]
    seconds = {name: [statistics.quantiles(one.times, n=100)[cut] for one in rounds] for name, cut in (("p50", 49), ("p99", 98))}
    return Report(dataclasses.asdict(setup), seconds, figures)


# --- the server --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _served(folder: Path, setup: Setup) -> Iterator[tuple[subprocess.Popen, int, list[Path]]]:
    """Inside: a process that serves a gallery, its port, and the files of the gallery."""
    files = peers.pictures(folder / "photos", setup.images, setup.size, setup.people)
    with forked(0):
        network = build(setup.backbone, setup.people, image_size=setup.size).eval()
    runs.save_model(folder / runs.MODEL, network, ModelConfig(setup.backbone, "none"), setup.size, np.arange(setup.people))
    trained = runs.load(folder / runs.MODEL, "cpu")
    cameras = np.array([int(re.search(r"_c(\d+)", file.name)[1]) for file in files])
    gallery = Embeddings(trained.embed(files), [file.name for file in files], cameras=cameras, model=trained.model_hash)
    retrieval.create_index(folder / "gallery.index", gallery, root=str(folder / "photos"))[0].close()
    words = ["serve", "--index", "gallery.index", "--checkpoint", runs.MODEL, "--port", "0", "--device", "cpu"]
    process = subprocess.Popen([sys.executable, "-m", "reid_srdl", *words], cwd=folder, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": _checkout()})
    try:
        line = next((line for line in process.stdout if line.startswith("Open ")), None)
        if line is None:
            raise UserError("the server did not start", "It has said why.")
        yield process, int(re.search(r"127\.0\.0\.1:(\d+)", line)[1]), files
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _checkout() -> str:
    return str(Path(__file__).resolve().parent.parent)


def _memory(process: subprocess.Popen) -> int:
    """Resident memory of a process in bytes."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) * 1024


# --- the clients -------------------------------------------------------------------------------------------------------


def _load(port: int, uploads: list[bytes], setup: Setup) -> Asked:
    """Runs all clients for ``setup.seconds``; returns their requests together."""
    asked, until = [Asked() for _ in range(setup.clients)], time.perf_counter() + setup.seconds
    threads = [threading.Thread(target=_client, args=(port, uploads, number, until, asked[number])) for number in range(setup.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Asked([seconds for one in asked for seconds in one.times], [error for one in asked for error in one.errors])


def _client(port: int, uploads: list[bytes], number: int, until: float, asked: Asked) -> None:
    """Sends requests until the time is up: of ten, on average six uploads, two searches for the last hit, one picture and one ``/health``."""
    random = np.random.default_rng(number)
    line, hit = http.client.HTTPConnection("127.0.0.1", port, timeout=60), None
    while time.perf_counter() < until:
        kind = random.integers(10)
        if kind < 6 or hit is None:
            method, path, parts = "POST", "/search", {"image": uploads[random.integers(len(uploads))], "top_k": b"20", "camera": str(random.integers(1, 7)).encode()}
        elif kind < 8:
            method, path, parts = "POST", "/search", {"id": str(hit["id"]).encode()}
        else:
            method, path, parts = "GET", hit["picture"] if kind == 8 else "/health", {}
        began = time.perf_counter()
        try:
            status, content = _answer(line, method, path, *_form(parts))
            asked.times.append(time.perf_counter() - began)
            if status != 200:
                asked.errors.append(f"{method} {path}: {status} {content[:200]!r}")
            elif path == "/search":
                hit = json.loads(content)["hits"][0]
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            asked.errors.append(f"{method} {path}: {error!r}")
            line.close()
    line.close()


def _answer(line: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
    line.request(method, path, body, headers)
    answer = line.getresponse()
    return answer.status, answer.read()


def _form(parts: dict[str, bytes], name: str = "a.jpg") -> tuple[bytes | None, dict[str, str]]:
    if not parts:
        return None, {}
    body = b""
    for key, value in parts.items():
        file = f'; filename="{name}"' if key in ("image", "a", "b") else ""
        body += f'--x\r\nContent-Disposition: form-data; name="{key}"{file}\r\n\r\n'.encode() + value + b"\r\n"
    return body + b"--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}


# --- strangers ---------------------------------------------------------------------------------------------------------


def _malformed(good: bytes) -> dict[str, tuple[bytes | None, dict[str, str]]]:
    """Requests to ``/search`` that are all to be refused."""
    return {
        "a truncated JPEG": _form({"image": good[: len(good) // 2]}),
        "one byte": _form({"image": b"\xff"}),
        "nothing": _form({"image": b""}),
        "a text": _form({"image": b"This is no image.\n" * 50}),
        "20,000 x 20,000 pixels": _form({"image": _bomb(20_000)}),
        "a text under another file's name": _form({"image": b"no image"}, name="../../etc/passwd"),
        "the path of another file": _form({"path": b"../../etc/passwd"}),
        "no field": _form({"top_k": b"5"}),
        "more than is allowed": _form({"image": bytes(9 * _MB)}),
        "a million hits": _form({"image": good, "top_k": b"1000000"}),
        "half a form": (b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc', {"Content-Type": "multipart/form-data; boundary=x"}),
    }


def _bomb(side: int) -> bytes:
    """A PNG of one bit a pixel, all black."""
    parts = (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes((side // 8 + 1) * side), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)


def _refused(port: int, request: tuple[bytes | None, dict[str, str]]) -> bool:
    """Whether the server answers with a status 4xx and a reason."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        try:
            status, content = _answer(line, "POST", "/search", *request)
            return 400 <= status < 500 and set(json.loads(content)) == {"error", "hint"}
        except (OSError, http.client.HTTPException, ValueError):
            return False


def _health(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        try:
            status, content = _answer(line, "GET", "/health", None, {})
            return status == 200 and json.loads(content)["status"] == "ok"
        except (OSError, http.client.HTTPException, ValueError):  # the server is gone
            return False


def main(argv: list[str]) -> int:
    """The benchmark with other numbers of clients, seconds, images or rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="A server under load.")
    parser.add_argument("--clients", type=int, default=Setup.clients, help=f"that ask at once (default {Setup.clients})")
    parser.add_argument("--seconds", type=float, default=Setup.seconds, help=f"of load (default {Setup.seconds:g})")
    parser.add_argument("--images", type=int, default=Setup.images, help=f"in the gallery (default {Setup.images})")
    parser.add_argument("--repeats", type=above_zero, default=5, help="rounds that the seconds are shared out to (default 5)")
    options = parser.parse_args(argv)
    from .__main__ import show

    report = run(options.repeats, Setup(clients=options.clients, seconds=options.seconds, images=options.images))
    show("serving", report)
    return 0 if all(figure.holds for figure in report.figures) else 1


if __name__ == "__main__":
    script(main)
