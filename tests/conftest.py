"""What several tests share: small data sets on disk, and a network small enough to train in a second."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import absl.logging
import cv2
import numpy as np
import pytest
import torch

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.data.records import ReIDData, Split

# OpenVINO brings absl, whose handler closes the stream that it was made with, once another library clears all handlers: not pytest's.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

os.environ.setdefault("HF_HUB_OFFLINE", "1")
torch.set_num_threads(1)

HERE = Path(__file__).parent
SIZE = (32, 16)


ASKED_FOR = {"faults": "soak", "plain": "plain"}
"""Folders whose tests bear a mark, and marks that run only where they are asked for, as in ``-m soak``: minutes, or another environment."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = []
    for item in items:
        mark = ASKED_FOR.get(item.path.relative_to(HERE).parts[0])
        if mark is not None:
            item.add_marker(mark)
        if any(item.get_closest_marker(name) and name not in config.option.markexpr for name in ASKED_FOR.values()):
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class SmallBackbone(torch.nn.Module):
    """Two convolutions with BatchNorm and dropout: whatever a resume could get wrong, in 2,000 parameters."""

    def __init__(self, normalise: bool = True) -> None:
        super().__init__()
        norm = torch.nn.BatchNorm2d if normalise else torch.nn.Identity
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2, 1), norm(8), torch.nn.ReLU(), torch.nn.Dropout(0.1 if normalise else 0.0),
            torch.nn.Conv2d(8, 16, 3, 2, 1), norm(16), torch.nn.ReLU(),
        )  # fmt: skip
        self.dimension = 16

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def small() -> SmallBackbone:
    return SmallBackbone()


def small_without_norm() -> SmallBackbone:
    return SmallBackbone(normalise=False)


# Under a name of its own, which a backbone's can begin with; before any fixture, whatever its scope.
sys.modules.setdefault("small_networks", sys.modules[__name__])


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """``small`` and ``small_without_norm`` are backbones by name."""
    from reid_srdl.models import BACKBONES

    monkeypatch.setitem(BACKBONES, "small", "small_networks:small")
    monkeypatch.setitem(BACKBONES, "small_without_norm", "small_networks:small_without_norm")


def write_person(file: Path, colour: np.ndarray, rng: np.random.Generator, size: tuple[int, int] = SIZE) -> None:
    """An image in one colour with noise, so that identities can be learnt."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = colour + rng.normal(0, 25, (*size, 3))
    cv2.imwrite(str(file), image.clip(0, 255).astype(np.uint8))


def make_split(root: Path, name: str, identities: range, cameras: int, shots: int, seed: int = 0) -> Split:
    """Coloured images of people in Market-1501's names."""
    rng = np.random.default_rng(seed)
    paths, labels, seen = [], [], []
    for identity in identities:
        colour = np.random.default_rng(identity).uniform(30, 225, 3)
        for camera in range(1, cameras + 1):
            for shot in range(shots):
                path = f"{name}/{identity:04d}_c{camera}s1_{shot:06d}_00.png"
                write_person(root / path, colour + rng.normal(0, 6, 3), rng)
                paths.append(path), labels.append(identity), seen.append(camera)
    return Split(name, root, tuple(paths), np.array(labels), np.array(seen))


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> ReIDData:
    """6 people to train on (54 images), 4 others to find (3 cameras)."""
    root = tmp_path_factory.mktemp("people")
    return ReIDData(
        "people",
        train=make_split(root, "train", range(1, 7), 3, 3),
        query=make_split(root, "query", range(11, 15), 3, 1, seed=1),
        gallery=make_split(root, "gallery", range(11, 15), 3, 2, seed=2),
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A run of 5 epochs on ``people``."""
    return configuration.parse(
        Config,
        [
            "--output", str(tmp_path / "runs" / "run"), "--threads", "1", "--device", "cpu", "--precision", "fp32", "--plan.epochs", "5", "--model.backbone", "small",
            "--model.weights", "none", "--data.height", str(SIZE[0]), "--data.width", str(SIZE[1]), "--data.batch", "16", "--optimiser.rate", "0.05",
        ],
    )  # fmt: skip


class Silent:
    """Looks on at training and keeps what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[dict] = []
        self.steps = 0

    def says(self, line: str) -> None:
        self.lines.append(line)

    def tracks(self, title: str):
        return iter

    def epoch_begins(self, stage, number, epoch, steps, done) -> None:
        pass

    def step_ends(self, images, loss) -> None:
        self.steps += 1

    def epoch_ends(self, row) -> None:
        self.rows.append(row)


@pytest.fixture
def watch() -> Silent:
    return Silent()
