"""A tiny run with a calibration, an index of its gallery, and clients of a server over both."""

from __future__ import annotations

import dataclasses
import io
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl import config as configuration
from reid_srdl import files, retrieval, runs
from reid_srdl.config import Config, ModelConfig
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.models import build
from reid_srdl.retrieval.serve.access import Access
from reid_srdl.retrieval.serve.limits import Limits
from reid_srdl.retrieval.serve.service import Service

KNOTS = {"distances": np.array([0.0, 0.5, 5.0, 500.0]), "log_odds": np.array([4.0, 2.0, 0.0, -6.0])}


@pytest.fixture(scope="session")
def small_backbone():
    """``small`` by its name, for longer than a test."""
    from reid_srdl.models import BACKBONES

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(BACKBONES, "small", "small_networks:small")
        yield


@pytest.fixture(scope="session")
def loaded(small_backbone, tmp_path_factory: pytest.TempPathFactory) -> runs.Trained:
    """A run folder with a network and its calibration, loaded; once for all, since reading a configuration takes longer than a test."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    torch.manual_seed(0)
    network = build("small", 3).eval()
    with torch.no_grad():  # so that distances are of the size that the calibration is about
        for weights in network.parameters():
            weights.mul_(2)
    digest = runs.save_model(runs.stage_folder(folder, 0, "first") / runs.MODEL, network, ModelConfig("small", "none"), (32, 16), np.array([1, 2, 3]))
    configuration.save(Config(), folder / runs.CONFIG)
    files.write_json(folder / runs.FACTS, {"dataset": "synthetic", "finished": True, "stages": [{"folder": "1-first"}]})
    Calibration(digest, "euclidean", False, prior=0.5, facts={}, **KNOTS).save(folder / runs.CALIBRATION)
    return runs.load(folder, "cpu")


@pytest.fixture
def run(loaded: runs.Trained, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(loaded.folder, tmp_path / "run"))


@pytest.fixture
def trained(loaded: runs.Trained, run: Path) -> runs.Trained:
    return dataclasses.replace(loaded, folder=run, file=run / loaded.file.relative_to(loaded.folder))


@pytest.fixture
def gallery(trained, people):
    return trained.embeddings(people.gallery)


@pytest.fixture
def index(gallery, people, tmp_path: Path, request):
    """Of 24 images; by faiss, unless a test asks for ``backend``."""
    backend = request.getfixturevalue("backend") if "backend" in request.fixturenames else "faiss"
    made, _ = retrieval.create_index(tmp_path / "gallery.index", gallery, backend=backend, root=str(people.gallery.root), names={12: "Zoë"})
    yield made
    made.close()


@pytest.fixture
def service(index, trained, run) -> Service:
    return Service(index, trained, str(run))


@pytest.fixture
def client(service):
    """``client(limits, access)``: of a server over ``service``; whatever it fails at is an answer and no exception."""
    from fastapi.testclient import TestClient

    from reid_srdl.retrieval.serve import app

    opened = []

    def made(limits: Limits | None = None, access: Access | None = None):
        made = app.make(service, access or Access(hosts=frozenset({"testserver"})), limits or Limits(workers=1))
        client = TestClient(made, raise_server_exceptions=False)
        client.__enter__()
        opened.append(client)
        return client

    yield made
    for one in opened:
        one.__exit__(None, None, None)


def bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A PNG of one bit a pixel, all black: a few kilobytes that would become a gigabyte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tile(width: int, height: int) -> bytes:
    """The header of a TIFF of 16 x 32 pixels in one tile of another size."""
    tags = {256: 16, 257: 32, 258: 8, 259: 8, 262: 1, 277: 1, 322: width, 323: height, 324: 200, 325: 100}
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()) + bytes(200)


def jpeg(size: tuple[int, int] = (64, 32), seed: int = 0) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()
