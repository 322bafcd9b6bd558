"""Training images a second beside torchreid's own engine and data manager: the same files, networks, batch, size and kind of augmentation.

Both flip and crop by chance, take plain cross-entropy and SGD, and draw their batches from JPEG files of Market-1501's size on disk, with as many
workers. torchreid decodes each image anew in every epoch; ``reid_srdl`` does so before the first, where the images fit into memory, and
that once is not timed. A step is timed from the end of the one before; the first of an epoch, which waits for workers to start, is left out.
Weights are untrained and the pictures are drawn by the program, which makes no difference to the time.

In fp32 both spend a step in the same convolutions, which oneDNN computes in a layout of its own whichever it is given, and decoding takes a small
share of a step of seconds. So fp32 has little to win with ResNet-50 and DenseNet-121.

Memory is that of a process of its own while it builds the network and takes some steps, beyond what the libraries take, workers included;
on a GPU what torch holds there for tensors.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from reid_srdl.models import build
from reid_srdl.seeds import forked
from reid_srdl.training import precision

from . import Figure, Report, Seconds, alternate, median_of, now, peers, threads
from .from_files import RATE, FromFiles, Unwatched
from .memory import MB, alone, peak_memory, peak_of_gpu

NETWORKS = {"resnet50": "resnet50", "densenet121": "densenet121", "osnet_x1_0": "torchreid:osnet_x1_0"}
"""torchreid's name to ours."""

THEIRS, FP32, DEFAULT = "torchreid", "fp32", "default"


@dataclass(frozen=True)
class Setup:
    """What is trained.

    Args:
        networks: of ``NETWORKS``.
        size: (height, width) in pixels of training.
        stored: (height, width) of the files.
        batch: images in a step.
        steps: steps that are timed in a round.
        identities: people in the files.
        workers: threads that decode here, processes there.
        threads: of torch; its own number if none is given.
    """

    networks: tuple[str, ...] = tuple(NETWORKS)
    size: tuple[int, int] = (256, 128)
    stored: tuple[int, int] = (128, 64)
    batch: int = 32
    steps: int = 2
    identities: int = 32
    workers: int = 2
    threads: int | None = None

    @property
    def images(self) -> int:
        return self.batch * (self.steps + 1)


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Times each network and measures its memory, on the CPU and on the GPU where there is one."""
    places = [torch.device("cpu")] + [torch.device("cuda")] * torch.cuda.is_available()
    seconds: dict[str, list[float]] = {}
    figures: list[Figure] = []
    settings: dict[str, Any] = dataclasses.asdict(setup)
    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        settings["threads"] = torch.get_num_threads()
        files = peers.pictures(Path(folder), setup.images, setup.stored, setup.identities)
        for device in places:
            for network in setup.networks:
                title = network if device.type == "cpu" else f"{network} on the GPU"
                settings[f"default of {title}"] = settled = default_precision(network, setup, device)
                found = times(network, files, settled, repeats, setup, device)
                seconds |= {f"{title}, {name}": values for name, values in found.items()}
                figures += [
                    Figure(f"{title}: images/s by default ({settled}) / torchreid", median_of(found, lambda **of: of[THEIRS] / of[DEFAULT]), least=2.0),
                    Figure(f"{title}: images/s in fp32 / torchreid", median_of(found, lambda **of: of[THEIRS] / of[FP32]), least=1.35),
                ]
                for name in (THEIRS, FP32, DEFAULT):
                    taken = alone(memory_of, name, network, settled, setup, device.type) / MB
                    figures.append(Figure(f"{title}: memory, {name}", taken, unit="MB"))
    return Report(settings, seconds, figures)


def default_precision(network: str, setup: Setup, device: torch.device) -> str:
    """The precision that a run settles on by itself (``auto``)."""
    with forked(0):
        built = build(NETWORKS[network], setup.identities, image_size=setup.size)
    return precision.settle("auto", [built], device=device, size=setup.size, batch=setup.batch)[0]


def times(network: str, files: list[Path], settled: str, repeats: int, setup: Setup, device: torch.device) -> dict[str, list[float]]:
    """Seconds a step: of torchreid, and of ours in fp32 and by default."""
    tasks = {
        THEIRS: theirs(network, files, setup, device),
        FP32: ours(network, files, "fp32", repeats + 1, setup, device),
        DEFAULT: ours(network, files, settled, repeats + 1, setup, device),
    }
    return alternate(tasks, repeats)


def memory_of(name: str, network: str, settled: str, setup: Setup, device: str) -> int:
    """Bytes that building a network and some steps take; to be called in a fresh process."""
    place = torch.device(device)

    def steps() -> None:
        if name == THEIRS:
            theirs(network, files, setup, place)()
        else:
            ours(network, files, "fp32" if name == FP32 else settled, 1, setup, place)()

    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        files = peers.pictures(Path(folder), setup.images, setup.stored, setup.identities)
        peers.torchreid("engine")
        return (peak_of_gpu if device == "cuda" else peak_memory)(steps)


class StepClock:
    """Mean seconds of a step, over the ``steps`` that follow the first one of an epoch."""

    def __init__(self, steps: int, device: torch.device) -> None:
        self.steps, self.device, self.ended, self.began = steps, device, 0, 0.0
        self.seconds = Seconds("nan")

    def tick(self) -> None:
        """A step has ended."""
        if self.ended in (0, self.steps):
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            at = now()
            self.began, self.seconds = (at, self.seconds) if self.ended == 0 else (self.began, Seconds((at - self.began) / self.steps))
        self.ended += 1

    def read(self) -> Seconds:
        """Seconds a step of the epoch that has ended; resets the clock for the next one."""
        self.ended = 0
        return self.seconds


# --- ours --------------------------------------------------------------------------------------------------------


class _Watch(Unwatched):
    def __init__(self, clock: StepClock) -> None:
        self.clock = clock

    def step_ends(self, images: int, loss: float | None) -> None:
        self.clock.tick()


def ours(network: str, files: list[Path], precision: str, epochs: int, setup: Setup, device: torch.device) -> Callable[[], Seconds]:
    """A task that trains an epoch at each call and returns its seconds a step."""
    clock = StepClock(setup.steps, device)
    training = FromFiles(
        NETWORKS[network], files, setup.size, batch=setup.batch, epochs=epochs, precision=precision, workers=setup.workers, device=device, watch=_Watch(clock)
    )

    def epoch() -> Seconds:
        training.epoch()
        return clock.read()

    return epoch


# --- torchreid's -------------------------------------------------------------------------------------------------


def theirs(network: str, files: list[Path], setup: Setup, device: torch.device) -> Callable[[], Seconds]:
    """A task that trains an epoch at each call with torchreid and returns its seconds a step."""
    on_gpu = device.type == "cuda"
    _register()
    with peers.silence():
        manager = peers.torchreid("data").ImageDataManager(
            root=str(files[0].parent), sources="fabricated", height=setup.size[0], width=setup.size[1], transforms=["random_flip", "random_crop"],
            batch_size_train=setup.batch, workers=setup.workers, use_gpu=on_gpu,
        )  # fmt: skip
        model = peers.torchreid("models").build_model(network, manager.num_train_pids, loss="softmax", pretrained=False, use_gpu=on_gpu).to(device)
    optimiser = peers.torchreid("optim").build_optimizer(model, optim="sgd", lr=RATE, momentum=0.9, weight_decay=2e-4)
    clock = StepClock(setup.steps, device)

    class Timed(peers.torchreid("engine").ImageSoftmaxEngine):
        def forward_backward(self, data: Any) -> dict[str, float]:
            summary = super().forward_backward(data)
            clock.tick()
            return summary

    engine = Timed(manager, model, optimiser, use_gpu=on_gpu, label_smooth=False)
    engine.max_epoch = 1

    def epoch() -> Seconds:
        with peers.silence():
            engine.train(print_freq=setup.steps + 2)
        return clock.read()

    return epoch


@cache
def _register() -> None:
    """Registers the files as a data set of torchreid: a folder of images whose names give identity and camera."""

    class Fabricated(peers.torchreid("data.datasets.dataset").ImageDataset):
        def __init__(self, root: str = "", **others: Any) -> None:
            rows = [(str(file), int(file.name[:4]) - 1, int(file.name[6]) - 1) for file in sorted(Path(root).glob("*.jpg"))]
            super().__init__(rows, rows[:1], rows[1:2], **others)

    peers.torchreid("data.datasets").register_image_dataset("fabricated", Fabricated)
