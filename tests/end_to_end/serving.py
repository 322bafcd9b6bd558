"""What is served in these tests: a run with a calibration, an index of photographs, and the process over both."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from reid_srdl import config as configuration
from reid_srdl import files, retrieval, runs
from reid_srdl.config import Config, ModelConfig
from reid_srdl.data.augment import clean
from reid_srdl.data.images import open_source
from reid_srdl.data.records import ReIDData
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.models import build

BACKBONE = "shufflenet_v2_x0_5"


def make_run(folder: Path, people: ReIDData) -> None:
    """A network that has seen images without learning from them, with a calibration by which half of all pairs are probably the same."""
    torch.manual_seed(0)
    size = (64, 32)
    network = build(BACKBONE, 3, image_size=size).train()
    with torch.no_grad():  # else the statistics of BatchNorm are those of no network, and all embeddings nearly the same
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None
        network(clean(open_source(people.train.files, size).batch(range(len(people.train))), size))
    runs.save_model(runs.stage_folder(folder, 0, "first") / runs.MODEL, network.eval(), ModelConfig(BACKBONE, "none"), size, np.array([1, 2, 3]))
    configuration.save(Config(), folder / runs.CONFIG)
    files.write_json(folder / runs.FACTS, {"dataset": "synthetic", "finished": True, "stages": [{"folder": "1-first"}]})
    trained = runs.load(folder, "cpu")
    vectors = trained.embeddings(people.train).vectors
    far = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    knots = np.array([0.0, np.median(far), far.max()])
    Calibration(trained.model_hash, "euclidean", False, knots, np.array([3.0, 0.0, -3.0]), 0.5, {}).save(folder / runs.CALIBRATION)


def make_index(path: Path, run: Path, people: ReIDData, root: Path) -> None:
    """Of the gallery; one label has a name that is no plain word."""
    index, _ = retrieval.create_index(path, runs.load(run, "cpu").embeddings(people.gallery), root=str(root), names={12: "<b>Zoë</b> & co"})
    index.close()


class Server:
    """A process of ``serve`` in ``folder``.

    Args:
        before: Python code that is run there first.

    Attributes:
        told: what it printed until it was ready.
        link: that it asks to open.
        address: ``http://HOST:PORT``.
    """

    def __init__(self, folder: Path, *flags: object, before: str = "", **variables: str) -> None:
        words = ["serve", "--index", "gallery.index", "--checkpoint", "run", "--port", "0", "--device", "cpu", *map(str, flags)]
        from .conftest import environment

        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom reid_srdl.commands import main\nmain()", *words], cwd=folder, env=environment() | variables,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.told = ""
        for line in self.process.stdout:
            self.told += line
            if line.startswith("Open "):
                break
        else:
            raise AssertionError(f"it did not start: {self.process.stderr.read()}")
        self.link = re.search(r"^Open (\S+)", line)[1]
        self.address = re.match(r"http://[^/]+", self.link)[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Code, and what else it printed: to standard output, to standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err
