"""``serve``: what it is started with and refuses, and what it says; its process is tried in end_to_end/test_serve.py."""

from __future__ import annotations

import dataclasses
import importlib.util
import socket

import numpy as np
import pytest
import torch

from reid_srdl import retrieval, runs
from reid_srdl.commands import serve as command
from reid_srdl.config import Config, ModelConfig
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.models import build

running = pytest.importorskip("reid_srdl.retrieval.serve.running", reason="uvicorn is not installed", exc_type=ImportError)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    runs.save_model(tmp_path / "model.safetensors", build("small", 3).eval(), ModelConfig("small", "none"), (32, 16), np.array([1, 2, 3]))
    return tmp_path / "model.safetensors"


@pytest.fixture
def index(checkpoint, people, tmp_path):
    def made(name: str = "g.index", root: str | None = str(people.gallery.root), model: str | None = None):
        seen = runs.load(checkpoint, "cpu").embeddings(people.gallery)
        seen = seen if model is None else Embeddings(seen.vectors, seen.paths, model=model)
        retrieval.create_index(tmp_path / name, seen, root=root)[0].close()
        return tmp_path / name

    return made


@pytest.fixture
def serve(checkpoint, monkeypatch, capsys):
    """What it prints until a signal would end it, and the application."""
    for name in ("REID_TOKEN", "MILVUS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    apps = []
    monkeypatch.setattr(running, "run", lambda app, listening, seconds, ready: (apps.append((app, listening.getsockname())), ready()))

    def started(index, *flags) -> str:
        assert command.run(["--index", str(index), "--checkpoint", str(checkpoint), "--port", "0", "--device", "cpu", *map(str, flags)]) == 0
        return capsys.readouterr().out

    started.apps = apps
    return started


def test_it_says_what_it_serves_and_where(serve, index):
    out = serve(index())
    (_, port), *_ = [at for _, at in serve.apps]
    assert "holds 24 images (faiss)" in out and f"Open http://127.0.0.1:{port}/ (Ctrl-C ends it; http://127.0.0.1:{port}/docs is the REST API)." in out and out.endswith("Ended.\n")
    assert "No probabilities are shown" in out and "has no calibration" in out and "encrypted" not in out and "not in" not in out


def test_what_is_amiss_with_an_index_is_said_beforehand(serve, index, tmp_path, monkeypatch):
    assert "name their folder with --images" in serve(index("bare.index", root=None))
    monkeypatch.setenv("HOME", str(tmp_path))
    for images in (tmp_path, "~"):
        assert f"20 of 20 images that were looked for are not in {tmp_path}" in serve(index(f"moved{len(str(images))}.index"), "--images", images)
    assert "is taken on trust" in serve(index("unsigned.index", model=""))


def test_that_the_run_is_scored_by_another_distance_is_said(serve, index, monkeypatch):
    load = runs.load
    monkeypatch.setattr(runs, "load", lambda *args, **options: dataclasses.replace(load(*args, **options), config=Config(distance="cosine")))
    assert "note: the run is scored by its cosine distance" in serve(index())


def test_beyond_this_machine_there_is_always_a_token_and_one_that_was_given_is_not_printed(serve, index, monkeypatch):
    out = serve(index(), "--host", "0.0.0.0")
    assert "/?token=" in out and "not encrypted" in out
    assert f"/?token={serve.apps[-1][0]._access.token}" in out
    for flags, variable in ((["--token", "correct-horse"], None), ([], "correct-horse")):
        monkeypatch.setenv("REID_TOKEN", variable) if variable else None
        out = serve(index(f"g{len(serve.apps)}.index"), "--host", "0.0.0.0", *flags)
        assert "correct-horse" not in out and "/?token=TOKEN" in out and serve.apps[-1][0]._access.token == "correct-horse"
    assert serve.apps[-1][0]._access.hosts is None


def test_limits_reach_the_application(serve, index):
    serve(index(), "--max_mb", "0.5", "--top_k", "9", "--workers", "3", "--waiting", "0")
    limits = serve.apps[0][0]._limits
    assert (limits.body, limits.top_k, limits.workers, limits.waiting) == (2**19, 9, 3, 0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_mb", "0"], "max_mb is 0. It must be above 0"),
        (["--max_mb", ".inf"], "max_mb is inf. It must be a finite number"),
        (["--max_mb", ".nan"], "max_mb is nan. It must be a finite number"),
        (["--waiting", "-1"], "waiting is -1. It must not be below 0"),
        (["--workers", "0"], "workers is 0"),
        (["--top_k", "0"], "top_k is 0"),
        (["--prior", "2"], "a prior of 2"),
        (["--token", "short"], "the token is too short"),
        (["--images", "nowhere"], "the images are not in nowhere"),
        (["--index", "gone.index"], "there is no index gone.index"),
        (["--checkpoint", "gone"], "there is no checkpoint gone"),
        (["--host", "203.0.113.7"], "cannot listen at 203.0.113.7"),
        (["--port", "99999"], "there is no port 99999"),
    ],
)
def test_bad_input_is_said(serve, index, tmp_path, monkeypatch, flags, message):
    path = index()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        serve(path, *flags)
    assert not serve.apps


def test_an_index_that_does_not_fit_is_refused(serve, index, tmp_path):
    with pytest.raises(UserError, match="was built by the network bbbbbbbbbbbb"):
        serve(index(model="b" * 64))
    with pytest.raises(UserError, match="the images are not in /moved/away .any more."):
        serve(index("moved.index", root="/moved/away"))


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(serve, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UserError, match="in use"):
        serve(tmp_path / "gone.index", "--port", other.getsockname()[1])


def test_what_is_needed_is_said(monkeypatch):
    with pytest.raises(UserError, match="serve needs --checkpoint"):
        command.run(["--index", "g.index"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else object())
    with pytest.raises(UserError, match=r"fastapi is not installed. Install it: pip install 'reid-srdl\[serve\]'"):
        command.run(["--index", "g.index", "--checkpoint", "runs/a"])
