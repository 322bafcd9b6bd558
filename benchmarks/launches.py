"""Training of a small network, eager and compiled: on a GPU it waits for the launches of its kernels and not for arithmetic.

Both are the one training loop on ResNet-32 at CIFAR's size, in batches of 128, images in the device's memory. On a GPU a run with
``--compile`` should reach 30,000 images a second (H100, bf16); on a CPU the ratio alone is reported.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import torch

from reid_srdl import devices

from . import Figure, Report, alternate, median_of, threads
from .training import Bench, Setup, epochs_of

WANTED = 30_000
"""Images a second on a GPU."""


def run(repeats: int, setup: Setup | None = None) -> Report:
    """Times epochs of plain training, eager and compiled in turns."""
    device = devices.choose("auto")
    gpu = device.type == "cuda"
    setup = setup or Setup("resnet32", (32, 32), batch=128, steps=390 if gpu else 8, identities=100, device=str(device), precision="bf16" if gpu else "fp32")
    with threads(setup.threads), tempfile.TemporaryDirectory() as folder:
        bench = Bench(setup, repeats, Path(folder))
        stage = bench.stages("vanilla")[0]
        seconds = alternate({name: epochs_of(bench.trainer(stage, 0, bench.loader(), compiled=name == "compiled")) for name in ("eager", "compiled")}, repeats)
    figures = [
        Figure("eager / compiled", median_of(seconds, lambda eager, compiled: eager / compiled)),
        *(Figure(f"images/s, {name}", median_of(seconds, lambda one=name, **times: setup.images / times[one])) for name in ("eager", "compiled")),
    ]
    if gpu:
        figures[-1] = dataclasses.replace(figures[-1], least=WANTED)
    return Report({**dataclasses.asdict(setup), "torch": torch.__version__}, seconds, figures)
