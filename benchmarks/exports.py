"""Images a second of a network in PyTorch and in the files that it is exported to, all on the CPU with the same number of threads.

All are given the same random pixels in memory, uint8, and normalise them; weights are untrained and int8 takes its ranges from such
pixels, which alters what is computed but not how long that takes. A format whose libraries are not installed is left out.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from reid_srdl import devices, runs
from reid_srdl.config import ModelConfig
from reid_srdl.data.augment import clean
from reid_srdl.export import Wanted, samples, write
from reid_srdl.models import build
from reid_srdl.seeds import forked

from . import Figure, Report, alternate, median_of, threads

FILES = {
    "onnx": (Wanted("onnx"), "model.onnx", ("onnxscript", "onnxruntime")),
    "openvino": (Wanted("openvino"), "fp32.xml", ("onnxscript", "openvino")),
    "openvino_bf16": (Wanted("openvino", "bf16"), "bf16.xml", ("onnxscript", "openvino")),
    "openvino_int8": (Wanted("openvino", "int8"), "int8.xml", ("onnxscript", "openvino", "nncf")),
    "torch_export": (Wanted("torch"), "model.pt2", ()),
}


@dataclass(frozen=True)
class Setup:
    """What is timed.

    Args:
        backbone: by name.
        size: (height, width) in pixels.
        batch: images at a time.
        batches: in a round.
        threads: that each library may use.
        calibration: images for int8.
    """

    backbone: str = "torchreid:osnet_x0_25"
    size: tuple[int, int] = (128, 64)
    batch: int = 32
    batches: int = 4
    threads: int = 1
    calibration: int = 30


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Times each way to embed the same images; the others are compared with PyTorch in fp32."""
    with threads(setup.threads), tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        trained = _network(setup)
        pixels = samples.random_pictures(setup.size, setup.batch * setup.batches, seed=0)
        images = list(pixels.split(setup.batch))
        tasks: dict[str, Callable[[], object]] = {"pytorch": partial(_embed, trained, images)}
        if devices.has_bf16(trained.place.device):
            tasks["pytorch_bf16"] = partial(_embed, dataclasses.replace(trained, place=devices.Place(trained.place.device, "bf16")), images)
        for name, exported in _files(trained, Path(folder), setup):
            tasks[name] = partial(_run, exported, [part.numpy() for part in images])
        seconds = alternate(tasks, repeats)
    figures = [
        Figure(f"images/s of {name} / of PyTorch in fp32", median_of(seconds, lambda pytorch, name=name, **others: pytorch / others[name]))
        for name in tasks
        if name != "pytorch"
    ]
    return Report({**dataclasses.asdict(setup), "cpu": devices.hardware(trained.place.device)["processor"]}, seconds, figures)


def _network(setup: Setup) -> runs.Trained:
    with forked(0):
        network = build(setup.backbone, 751, image_size=setup.size).eval().to(memory_format=torch.channels_last)
    place = devices.Place(torch.device("cpu"))
    return runs.Trained(network, setup.size, np.arange(1, 752), runs.state_hash(network.state_dict()), place, ModelConfig(setup.backbone, "none"))


def _files(trained: runs.Trained, folder: Path, setup: Setup) -> Iterator[tuple[str, runs.Trained]]:
    calibration = [image[None].numpy() for image in samples.random_pictures(setup.size, setup.calibration, seed=1)]
    for name, (wanted, file, needed) in FILES.items():
        if not all(importlib.util.find_spec(library) for library in needed):
            continue
        if wanted.precision == "bf16" and not devices.has_bf16(trained.place.device):
            continue
        with torch.inference_mode(False):
            write(trained, wanted, folder / file, calibration)
        yield name, runs.load(folder / file)


def _embed(network: runs.Trained, images: list[torch.Tensor]) -> None:
    for part in images:
        with network.place.autocast():
            network.embedder.embed(clean(part, network.size))


def _run(network: runs.Trained, images: list[np.ndarray]) -> None:
    for part in images:
        network.network.engine.run(part)
