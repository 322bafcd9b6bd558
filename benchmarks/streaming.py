"""Images that are streamed from disk beside the same images in memory: an epoch of training, and the share of it that went by in waiting.

Once with a network that is slower than the decoding, where streaming should cost next to nothing; and once with large files and a network
that is next to none, where decoding is the bound and a run has to say so. The decoders alone are timed with one thread and with as many as there are workers.
Streaming keeps a core busy beside those that torch computes on, so torch has one thread fewer than there are cores.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid_srdl.data.images import StreamedImages
from reid_srdl.progress import MUCH_WAITING

from . import Figure, Report, alternate, median_of, peers, threads
from .from_files import FromFiles


@dataclass(frozen=True)
class Setup:
    """What is trained.

    Args:
        slow: the network that takes longer for a step than the decoding of its images.
        fast: the network that takes less.
        size: (height, width) in pixels of the slow network's files and input; the fast one is trained at half of it.
        large: (height, width) of the fast network's files.
        batch: images in a step.
        steps: steps in an epoch.
        identities: people in the files.
        workers: threads that decode.
        threads: of torch.
    """

    slow: str = "mobilenet_v2"
    fast: str = "shufflenet_v2_x0_5"
    size: tuple[int, int] = (128, 64)
    large: tuple[int, int] = (768, 384)
    batch: int = 32
    steps: int = 6
    identities: int = 32
    workers: int = 2
    threads: int = 1

    @property
    def images(self) -> int:
        return self.batch * self.steps


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Times epochs from memory and from disk in turns, for each of the two networks."""
    waits: dict[str, list[float]] = {}
    half = (setup.size[0] // 2, setup.size[1] // 2)

    def epochs(name: str, backbone: str, files: list[Path], size: tuple[int, int], memory_gb: float) -> Callable[[], None]:
        training = FromFiles(backbone, files, size, batch=setup.batch, epochs=repeats + 1, workers=setup.workers, memory_gb=memory_gb)
        waits[name] = []

        def epoch() -> None:
            row = training.epoch()
            waits[name].append(row["waited"] / row["seconds"])

        return epoch

    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        small = peers.pictures(Path(folder) / "small", setup.images, setup.size, setup.identities)
        large = peers.pictures(Path(folder) / "large", setup.images, setup.large, setup.identities)
        tasks: dict[str, Callable[[], object]] = {
            "memory": epochs("memory", setup.slow, small, setup.size, 4.0),
            "stream": epochs("stream", setup.slow, small, setup.size, 0.0),
            "bound_memory": epochs("bound_memory", setup.fast, large, half, 4.0),
            "bound_stream": epochs("bound_stream", setup.fast, large, half, 0.0),
            "decode_1": decoding(small, setup.size, 1),
            "decode_all": decoding(small, setup.size, setup.workers),
            "decode_large": decoding(large, half, setup.workers),
        }
        seconds = alternate(tasks, repeats)
    figures = [
        Figure(f"epoch streamed / in memory, {setup.slow}", median_of(seconds, lambda stream, memory, **_: stream / memory), 1.05),
        Figure("share of it spent waiting for images", _median(waits["stream"]), MUCH_WAITING),
        Figure("decoding alone with 1 thread", setup.images / _median(seconds["decode_1"]), unit="images/s"),
        Figure(f"decoding alone with {setup.workers} threads", setup.images / _median(seconds["decode_all"]), unit="images/s"),
        Figure(f"epoch streamed / in memory, {setup.fast} on large files", median_of(seconds, lambda bound_stream, bound_memory, **_: bound_stream / bound_memory)),
        Figure("share of that spent waiting for images, which a run says", _median(waits["bound_stream"]), least=MUCH_WAITING),
        Figure("decoding alone / that epoch", median_of(seconds, lambda decode_large, bound_stream, **_: decode_large / bound_stream)),
    ]
    return Report(dataclasses.asdict(setup), seconds, figures)


def decoding(files: list[Path], size: tuple[int, int], workers: int) -> Callable[[], None]:
    """A task that decodes all files once, in ``workers`` threads, and does nothing else."""
    source = StreamedImages(files, size, workers)

    def decode() -> None:
        for start in range(0, len(files), 32):
            source.batch(range(start, min(start + 32, len(files))))

    return decode


def _median(values: list[float]) -> float:
    return float(np.median(values))
