"""What the loader adds to training, and what SRDL adds to a plain training of as many epochs.

Both train a real network with the one training loop, on a synthetic set of images in memory; what the pixels show makes no
difference to the time. Beside the seconds by the clock stand those of the processor (``CPU``: all threads of this process), which
a machine with other work on it stretches far less; only the fetching that a second core would hide counts in full there.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from reid_srdl import devices
from reid_srdl.config import AugmentConfig, Config, ModelConfig, OptimiserConfig, PlanConfig
from reid_srdl.data.augment import Augment, clean
from reid_srdl.data.images import MemoryImages
from reid_srdl.data.loader import Batch, Loader
from reid_srdl.data.records import Split
from reid_srdl.data.samplers import RandomSampler
from reid_srdl.models import IdentityClassifier, build
from reid_srdl.seeds import forked
from reid_srdl.training import plans, reference
from reid_srdl.training.engine import StageTrainer
from reid_srdl.training.losses import stage_loss
from reid_srdl.training.plans import Stage
from reid_srdl.training.reference import Reference

from . import Figure, Report, alternate, median_of, threads
from .from_files import Unwatched

ROUNDING = 0.1
"""The share of a forward pass that shifting, saving and loading soft targets may take, with room for chance."""


@dataclass(frozen=True)
class Setup:
    """What is trained.

    Args:
        backbone: by name.
        size: (height, width) in pixels, of the images and of training.
        batch: images in a step.
        steps: steps in an epoch; the training set has as many images as they take.
        identities: classes; 751 is Market-1501.
        threads: of torch on the CPU.
        device: of the training and the images.
        precision: of the training.
        epochs: M, those of the plan for which SRDL's cost is computed; the paper's for Market-1501.
    """

    backbone: str = "mobilenet_v2"
    size: tuple[int, int] = (128, 64)
    batch: int = 32
    steps: int = 20
    identities: int = 751
    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    epochs: int = 120

    @property
    def images(self) -> int:
        return self.steps * self.batch


def training_epoch(repeats: int, setup: Setup = Setup()) -> Report:
    """An epoch through the loader against as many steps on one batch that is already loaded.

    The loader is timed alone, too, without training steps that hide its work: on a busy machine the difference of two epochs is less certain.
    """
    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        bench = Bench(setup, repeats, Path(folder))
        stage = bench.stages("vanilla")[0]
        alone = bench.loader()
        tasks = {
            "loader": epochs_of(bench.trainer(stage, 0, bench.loader())),
            "preloaded": epochs_of(bench.trainer(stage, 0, bench.loader(OneBatch))),
            "alone": lambda: [batch.images.sum().item() for batch in alone.epoch(0, 0)],
        }
        seconds = _timed(tasks, repeats)
    figures = [
        Figure("epoch through the loader / on one batch", median_of(seconds, lambda loader, preloaded, **_: loader / preloaded), 1.05),
        Figure("the same in CPU seconds", median_of(seconds, lambda loader_cpu, preloaded_cpu, **_: loader_cpu / preloaded_cpu)),
        Figure("the loader alone / epoch on one batch", median_of(seconds, lambda alone, preloaded, **_: alone / preloaded), 0.05),
    ]
    return Report(dataclasses.asdict(setup), seconds, figures)


def srdl_cost(repeats: int, setup: Setup = Setup(steps=5)) -> Report:
    """Plan ``srdl`` against ``vanilla`` at equal epochs, in forward passes over the training set.

    SRDL trains for as many epochs. It adds one clean pass, whose soft targets are kept in a file, and in each step of the
    second stage the imitation term. Whole epochs differ far more than that by chance, so the term is timed alone: the losses of
    all steps of the second stage with it and without, forward and backward. An epoch of each stage is timed beside them.
    What does not grow with the training set (a second network, a second file of weights) is left out.
    """
    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        bench = Bench(setup, repeats, Path(folder))
        vanilla, (_, second) = bench.stages("vanilla")[0], bench.stages("srdl")
        network = bench.network()
        soft = bench.soft_targets(network, second)
        logits = torch.randn(setup.batch, setup.identities, device=bench.fabric.device, requires_grad=True)
        tasks = {
            "vanilla": epochs_of(bench.trainer(vanilla, 0, bench.loader())),
            "second": epochs_of(bench.trainer(second, 1, bench.loader(), soft)),
            "forward": partial(bench.forward, network),
            "extraction": partial(bench.soft_targets, network, second),
            "losses": partial(bench.losses, logits, second, None),
            "imitation": partial(bench.losses, logits, second, soft),
        }
        seconds = _timed(tasks, repeats)
    figures = [
        Figure("extraction / forward pass", median_of(seconds, lambda extraction, forward, **_: extraction / forward), 1 + ROUNDING),
        Figure("imitation / epochs of the second stage", median_of(seconds, partial(_imitation_share, epochs=setup.epochs // 2)), 0.01),
        Figure(f"(srdl - vanilla) / forward pass, {setup.epochs} epochs", median_of(seconds, _passes)),
        Figure("the same in CPU seconds", median_of({name: seconds[f"{name}_cpu"] for name in tasks}, _passes)),
        Figure("epoch of the second stage / of vanilla", median_of(seconds, lambda second, vanilla, **_: second / vanilla)),
    ]
    return Report(dataclasses.asdict(setup), seconds, figures)


def _imitation_share(imitation: float, losses: float, vanilla: float, *, epochs: int, **_: float) -> float:
    return (imitation - losses) / (vanilla * epochs)


def _passes(extraction: float, imitation: float, losses: float, forward: float, **_: float) -> float:
    return (extraction + imitation - losses) / forward


class OneBatch(Loader):
    """A loader that loads its first batch and hands it out at every step."""

    @cached_property
    def batch(self) -> Batch:
        return next(super().epoch(0, 0))

    def epoch(self, stage: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        for step in range(start, len(self)):
            yield dataclasses.replace(self.batch, step=step)


class Bench:
    """A synthetic training set in memory, and the work on it that is timed."""

    def __init__(self, setup: Setup, repeats: int, folder: Path) -> None:
        self.setup, self.folder = setup, folder
        # Each stage needs an epoch for each round and one for the round before; a stage of SRDL is half of the plan.
        self.config = Config(
            model=ModelConfig(backbone=setup.backbone, weights="none"),
            optimiser=OptimiserConfig(rate=0.01),
            plan=PlanConfig(epochs=2 * (repeats + 1)),
        )
        self.fabric = devices.launch(devices.choose(setup.device), setup.precision)
        self.place = devices.Place(self.fabric.device)
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (setup.images, 3, *setup.size), dtype=np.uint8)
        self.source = MemoryImages(torch.from_numpy(pixels).to(self.fabric.device))
        self.targets = rng.integers(0, setup.identities, setup.images)
        names = tuple(f"{row:06d}.jpg" for row in range(setup.images))
        for name in names:  # the hash of a split asks for the sizes of its files
            (folder / name).touch()
        self.split = Split("train", folder, names, self.targets, np.zeros_like(self.targets))

    def stages(self, plan: str) -> plans.Plan:
        return plans.build(dataclasses.replace(self.config, plan=dataclasses.replace(self.config.plan, name=plan)))

    def network(self) -> IdentityClassifier:
        with forked(0):
            network = build(self.setup.backbone, self.setup.identities, image_size=self.setup.size)
        return network.to(self.fabric.device, memory_format=torch.channels_last)

    def loader(self, kind: type[Loader] = Loader) -> Loader:
        sampler = RandomSampler(self.setup.images, self.setup.batch, 0)
        return kind(self.source, self.targets, sampler, Augment(AugmentConfig(), self.setup.size), seed=0, device=self.fabric.device)

    def trainer(self, stage: Stage, number: int, loader: Loader, soft: Reference | None = None, *, compiled: bool = False) -> StageTrainer:
        return StageTrainer(stage, number, self.network(), loader, self.fabric, reference=soft, seed=0, compiled=compiled)

    def forward(self, network: IdentityClassifier) -> None:
        """Forward passes of all training images: the least that a clean pass can cost."""
        network.eval()
        with torch.inference_mode():
            for start in range(0, len(self.source), 64):
                images = self.source.images[start : start + 64]
                network(clean(images, self.setup.size)).logits.cpu()

    def soft_targets(self, network: IdentityClassifier, stage: Stage) -> Reference:
        """Soft targets, made, saved and loaded as a run does between its stages."""
        made = reference.make(
            network, self.source, self.split, self.targets, how=stage.reference.how, temperature=stage.losses.temperature,
            size=self.setup.size, place=self.place, seed=0, described="", augment=self.config.augment,
        )  # fmt: skip
        reference.save(made, self.folder / "reference.safetensors")
        return reference.load(self.folder / "reference.safetensors").to(self.fabric.device)

    def losses(self, logits: torch.Tensor, stage: Stage, soft: Reference | None) -> None:
        """The losses of the second half of the plan, and their gradient at the logits."""
        rows = torch.arange(self.setup.images).split(self.setup.batch)
        for _ in range(self.setup.epochs // 2):
            for indices in rows:
                targets = torch.from_numpy(self.targets)[indices].to(logits.device)
                known = soft.rows(indices) if soft is not None else None
                logits.grad = None
                stage_loss(logits, targets, known, stage.losses).total.backward()
        logits.grad.sum().item()


def epochs_of(trainer: StageTrainer) -> Callable[[], object]:
    """A task that trains the next epoch at each call."""
    return trainer.epochs(Unwatched(), save=lambda: None, save_every=float("inf")).__next__


def _timed(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """The seconds of ``alternate``, and under ``NAME_cpu`` the CPU seconds of each task."""
    cpu: dict[str, list[float]] = {f"{name}_cpu": [] for name in tasks}

    def counted(name: str, task: Callable[[], object]) -> None:
        began = time.process_time()
        task()
        cpu[f"{name}_cpu"].append(time.process_time() - began)

    seconds = alternate({name: partial(counted, name, task) for name, task in tasks.items()}, repeats)
    return seconds | {name: values[1:] for name, values in cpu.items()}
