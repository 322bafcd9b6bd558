"""From image files to saved vectors, beside torchreid's FeatureExtractor: a ResNet-50 at 256x128, the same files, batches and kind of output.

Ours goes the way of the command ``embed``: the files are looked at, decoded in threads, embedded and written as they come, in PyTorch
(fp32, and bf16 where the processor has it, as a run that was trained so would) and in the files that it is exported to. Loading a network is not timed. Weights are untrained and
int8 takes its ranges from such pictures, which makes no difference to the time. A format whose libraries are not installed is left out.

Memory is that of a process of its own while it embeds, beyond what libraries and the loaded network take; on a GPU, what torch holds there for tensors.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from reid_srdl import devices, embeddings, runs
from reid_srdl.commands.embed import embed_in_batches, stored_size
from reid_srdl.commands.image_list import list_images
from reid_srdl.config import ModelConfig
from reid_srdl.export import Wanted, samples, write
from reid_srdl.models import build
from reid_srdl.seeds import forked

from . import Figure, Report, alternate, median_of, peers, threads
from .memory import MB, alone, peak_memory, peak_of_gpu

THEIRS = "torchreid"
EXPORTS = {"openvino_bf16": Wanted("openvino", "bf16"), "openvino_int8": Wanted("openvino", "int8")}
LEAST = {"pytorch_bf16": 2.8, "openvino_bf16": 4.5, "openvino_int8": 8.0}


@dataclass(frozen=True)
class Setup:
    """What is embedded.

    Args:
        backbone: a name that both know.
        size: (height, width) in pixels of the network's input.
        stored: (height, width) of the files.
        images: how many are embedded in a round.
        batch: images at a time.
        threads: that each library may use; torch's own number if none is given.
        calibration: images for int8.
    """

    backbone: str = "resnet50"
    size: tuple[int, int] = (256, 128)
    stored: tuple[int, int] = (128, 64)
    images: int = 64
    batch: int = 32
    threads: int | None = None
    calibration: int = 30


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Times each way from the same files to vectors on disk, and measures its memory; where there is a GPU, there too."""
    with threads(setup.threads), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers.pictures(folder / "images", setup.images, setup.stored, people=32)
        ways = prepare(folder, setup)
        seconds = alternate({way: opened(way, folder, setup) for way in ways}, repeats)
        used = torch.get_num_threads()
        memory = {way: alone(memory_of, way, folder, setup) / MB for way in ways}
    figures = []
    for way in ways:
        baseline = f"{THEIRS}_cuda" if way.endswith("_cuda") else THEIRS
        if way != baseline:
            ratio = median_of(seconds, lambda way=way, baseline=baseline, **of: of[baseline] / of[way])
            figures.append(Figure(f"images/s of {way} / {baseline}", ratio, least=LEAST.get(way)))
    figures += [Figure(f"memory, {way}", taken, unit="MB") for way, taken in memory.items()]
    return Report({**dataclasses.asdict(setup), "threads": used, "cpu": devices.hardware(torch.device("cpu"))["processor"]}, seconds, figures)


def prepare(folder: Path, setup: Setup) -> list[str]:
    """Writes the networks into the folder; returns the names of the ways to embed that this machine has."""
    with forked(0):
        network = build(setup.backbone, 751, image_size=setup.size).eval().to(memory_format=torch.channels_last)
    runs.save_model(folder / runs.MODEL, network, ModelConfig(setup.backbone, "none"), setup.size, np.arange(1, 752))
    with peers.silence():
        theirs = peers.torchreid("models").build_model(setup.backbone, 751, pretrained=False, use_gpu=False)
    torch.save({"state_dict": theirs.state_dict()}, folder / "torchreid.pth")
    has_bf16 = devices.has_bf16(torch.device("cpu"))
    ways = [THEIRS, "pytorch_fp32", *(["pytorch_bf16"] if has_bf16 else [])]
    trained = runs.load(folder / runs.MODEL, "cpu")
    calibration = [image[None].numpy() for image in samples.random_pictures(setup.size, setup.calibration, seed=1)]
    needed = ("onnxscript", "openvino", "nncf")
    for way, wanted in EXPORTS.items():
        if all(importlib.util.find_spec(library) for library in needed) and (has_bf16 or wanted.precision != "bf16"):
            write(trained, wanted, folder / f"{way}.xml", calibration)
            ways.append(way)
    return ways + ([f"{THEIRS}_cuda", "pytorch_bf16_cuda"] if torch.cuda.is_available() else [])


def opened(way: str, folder: Path, setup: Setup) -> Callable[[], object]:
    """Loads the network of a way; each call of the result embeds all files anew."""
    device = "cuda" if way.endswith("_cuda") else "cpu"
    if way.startswith(THEIRS):
        with peers.silence():
            extractor = peers.torchreid("utils").FeatureExtractor(
                setup.backbone, str(folder / "torchreid.pth"), image_size=setup.size, device=device, verbose=False
            )
        return partial(theirs, extractor, folder, setup)
    if way in EXPORTS:
        return partial(ours, runs.load(folder / f"{way}.xml"), folder, setup)
    trained = runs.load(folder / runs.MODEL, device, precision=way.split("_")[1])
    _ = trained.embedder  # a part of loading
    return partial(ours, trained, folder, setup)


def theirs(extractor: Callable[[list[str]], torch.Tensor], folder: Path, setup: Setup) -> None:
    """Embeds all files with torchreid's extractor in batches, as its documentation shows, and saves the vectors."""
    files = [str(file) for file in sorted((folder / "images").iterdir())]
    parts = [extractor(files[start : start + setup.batch]).cpu().numpy() for start in range(0, len(files), setup.batch)]
    np.savez(folder / "theirs.npz", vectors=np.concatenate(parts), paths=files)


def ours(trained: runs.Trained, folder: Path, setup: Setup) -> None:
    """Embeds all files as the command ``embed`` does."""
    listed = list_images(str(folder / "images"))
    pieces = embed_in_batches(trained, listed, stored_size(listed.files, trained.size), [], batch=setup.batch)
    embeddings.write(folder / "ours.npz", pieces)


def memory_of(way: str, folder: Path, setup: Setup) -> int:
    """Bytes that a way takes while it embeds; to be called in a fresh process."""
    with threads(setup.threads):
        return (peak_of_gpu if way.endswith("_cuda") else peak_memory)(opened(way, folder, setup))
