"""Training from image files on disk with the one training loop, an epoch at a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from reid_srdl import devices
from reid_srdl.config import AugmentConfig, Config, ModelConfig, OptimiserConfig, PlanConfig
from reid_srdl.data.augment import Augment
from reid_srdl.data.images import open_source
from reid_srdl.data.loader import Loader
from reid_srdl.data.samplers import RandomSampler
from reid_srdl.models import build
from reid_srdl.seeds import forked
from reid_srdl.training import plans
from reid_srdl.training.engine import StageTrainer
from reid_srdl.training.plans import Stage

RATE = 0.01


class Unwatched:
    """An observer of training that does nothing."""

    def epoch_begins(self, stage: Stage, number: int, epoch: int, steps: int, done: int) -> None: ...

    def step_ends(self, images: int, loss: float | None) -> None: ...

    def epoch_ends(self, row: dict[str, Any]) -> None: ...


class FromFiles:
    """A network that is trained on files whose names say who is shown, as Market-1501's do.

    Args:
        backbone: by name; untrained.
        files: JPEG files of people 1, 2, ….
        size: (height, width) in pixels of training.
        batch: images in a step.
        epochs: how often ``epoch`` may be called.
        precision: ``fp32`` or ``bf16``.
        workers: threads that decode.
        memory_gb: GiB of decoded images that may be kept in memory; with 0 all are streamed.
        device: that trains; the CPU if none is given.
        watch: is told of every step.

    Attributes:
        loader: makes the batches.
    """

    def __init__(
        self, backbone: str, files: list[Path], size: tuple[int, int], *, batch: int, epochs: int, precision: str = "fp32", workers: int = 2,
        memory_gb: float = 4.0, device: torch.device | None = None, watch: Unwatched | None = None,
    ) -> None:  # fmt: skip
        device = device or torch.device("cpu")
        config = Config(
            model=ModelConfig(backbone=backbone, weights="none"),
            optimiser=OptimiserConfig(rate=RATE),
            plan=PlanConfig(name="vanilla", epochs=epochs),
        )
        targets = np.array([int(file.name[:4]) - 1 for file in files])
        with forked(0):
            network = build(backbone, int(targets.max()) + 1, image_size=size)
        source = open_source(files, size, workers=workers, memory_gb=memory_gb, device=device)
        self.loader = Loader(source, targets, RandomSampler(len(files), batch, 0), Augment(AugmentConfig(), size), seed=0, device=device)
        trainer = StageTrainer(plans.build(config)[0], 0, network, self.loader, devices.launch(device, precision), reference=None, seed=0)
        self._rows = trainer.epochs(watch or Unwatched(), save=lambda: None, save_every=float("inf"))

    def epoch(self) -> dict[str, Any]:
        """Trains the next epoch; returns its row of the log."""
        return next(self._rows)
