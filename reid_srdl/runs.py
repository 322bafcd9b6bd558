"""The layout of a run folder, and ``load``: a trained network that embeds images."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

from . import config as configuration
from . import devices, files, inference
from .config import MEAN, STD, Config, ModelConfig
from .data import crops
from .data.images import ImageSource, open_source
from .data.records import Split
from .embeddings import Embeddings
from .errors import UserError
from .models import IdentityClassifier, configured
from .models.exported import ExportedNetwork, InputOptions, is_exported, open_exported
from .models.exported_facts import ExportFacts
from .models.folding import for_embedding
from .models.from_timm import own_pixels
from .shell import command

CONFIG = "config.yaml"
FACTS = "run.json"
RESUME = "resume.pt"
REPORT = "report.html"
MODEL = "model.safetensors"
LAST = "last.safetensors"
AVERAGED = "ema.safetensors"
"""Where a stage keeps an average of its weights: the last weights and the average. ``MODEL`` is one of the two."""
BEST = "best.safetensors"
"""Of a stage that keeps its best epoch, while it goes on."""
LOG = "log.csv"
REFERENCE = "reference.safetensors"
CALIBRATION = "calibration.json"
_FORMAT = "reid_srdl model 1"
_OF_TIMM = "timm:"


def stage_folder(run: Path, number: int, name: str) -> Path:
    """Folder of a stage; ``number`` counts from 0, folders from 1."""
    return Path(run) / "stages" / f"{number + 1}-{name}"


def finished_stages(run: Path) -> list[Path]:
    """Folders of the stages that are finished, in their order."""
    folders = [path.parent for path in (Path(run) / "stages").glob(f"[0-9]*-*/{MODEL}") if path.parent.name.split("-")[0].isdigit()]
    return sorted(folders, key=lambda folder: int(folder.name.split("-")[0]))


# --- one trained network in one file ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a ``model.safetensors`` holds.

    Args:
        state: weights and running statistics by name.
        model: how the network is built.
        size: (height, width) of its input in pixels.
        labels: int64 ``(C,)``, the data set's label of each class.
        hash: SHA-256 of names and values in ``state``.
        crop: what it was trained on of each image (``data.crop``).
    """

    state: dict[str, torch.Tensor]
    model: ModelConfig
    size: tuple[int, int]
    labels: np.ndarray
    hash: str
    crop: str = "none"


def state_hash(state: dict[str, torch.Tensor]) -> str:
    """SHA-256 of names, types and values."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_model(path: Path, network: IdentityClassifier, model: ModelConfig, size: tuple[int, int], labels: np.ndarray, crop: str = "none") -> str:
    """Writes the network and all that is needed to use it; returns its hash."""
    # safetensors stores contiguous tensors; channels-last weights come back in the plain order.
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    digest = state_hash(state)
    metadata = {
        "format": _FORMAT,
        "model": json.dumps(dataclasses.asdict(model)),
        "size": json.dumps(list(size)),
        "labels": json.dumps([int(label) for label in labels]),
        "sha256": digest,
    }
    if crop != "none":
        metadata["crop"] = crop
    if model.backbone.startswith(_OF_TIMM):
        metadata["pixels"] = "its own"
    metadata["facts"] = _facts_hash(metadata)
    # As bytes, since safetensors' own writing has another exception for a full disk.
    files.write_bytes(path, files.canonical_safetensors(serialised(state, metadata=metadata)))
    return digest


def _facts_hash(metadata: dict[str, str]) -> str:
    return files.sha256_json({name: text for name, text in metadata.items() if name != "facts"})


def read_model(path: Path) -> ModelFile:
    """Raises ``UserError`` where the file is missing, truncated, altered, or not one of ours."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}", "Give a run folder, a stage folder in it, or a model.safetensors.")
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error})", f"It is truncated or of another kind. {_way_to_another(path)}") from None
    if metadata.get("format") != _FORMAT:
        raise UserError(
            f"{path} holds weights, but not of a model trained here",
            "To start training from them, give train --model.weights FILE.",
        )
    # Files of earlier versions have a checksum of their numbers only.
    if state_hash(state) != metadata.get("sha256") or metadata.get("facts", wanted := _facts_hash(metadata)) != wanted:
        raise UserError(f"{path} is damaged: its checksum does not fit", _way_to_another(path))
    try:
        model = ModelConfig(**json.loads(metadata["model"]))
    except TypeError as error:
        raise UserError(f"{path} describes a network that this version does not know ({error})", "Use the version that wrote it.") from None
    crop = metadata.get("crop", "none")
    if crop not in crops.NAMES:
        raise UserError(f"{path} was trained on crops that this version does not know ({crop})", "Use the version that wrote it.")
    if model.backbone.startswith(_OF_TIMM) and "pixels" not in metadata and own_pixels(model.backbone.removeprefix(_OF_TIMM)):
        raise UserError(f"{path} is of a version that normalised the images of {model.backbone} otherwise", "Use the version that wrote it, or train anew.")
    return ModelFile(
        state=state,
        model=model,
        size=tuple(json.loads(metadata["size"])),
        labels=np.array(json.loads(metadata["labels"]), dtype=np.int64),
        hash=metadata["sha256"],
        crop=crop,
    )


def _way_to_another(path: Path) -> str:
    run = _run_of(path)
    return f"Copy it again, or delete it and have the stage trained again: {command('train', '--resume', run)}" if run else "Copy it again."


def network_of(file: ModelFile) -> IdentityClassifier:
    """The network with its weights, in eval mode, on the CPU."""
    network = configured(file.model, len(file.labels), file.size, weights="none")
    try:
        network.load_state_dict(file.state)
    except RuntimeError as error:
        raise UserError(f"the weights do not fit a {file.model.backbone}: {str(error).splitlines()[-1].strip()}", "Was the file made by another version?") from None
    return network.eval().to(memory_format=torch.channels_last)


# --- a trained network in use ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network that embeds images; ``load`` makes one.

    Attributes:
        network: the ``IdentityClassifier``, in eval mode on ``place.device``, or an exported file that behaves like one.
        size: (height, width) of its input in pixels; images of any size are resized, or their centre is (``crop``).
        labels: int64 ``(C,)``, the training label of each class; none of an exported file without logits.
        model_hash: of its weights; of an exported file, of that file.
        place: device and precision.
        config: of the run, where it is known.
        folder: of the run, where it is known.
        crop: what it was trained on of each image (``data.crop``), and sees the centre of where nothing is random.
        facts: what an exported file of ours says of itself, such as the hash of its source.
        file: that the weights were read from.
        input: what was said of an exported file from elsewhere.
    """

    network: IdentityClassifier | ExportedNetwork
    size: tuple[int, int]
    labels: np.ndarray
    model_hash: str
    place: devices.Place
    model: ModelConfig
    config: Config | None = None
    folder: Path | None = None
    crop: str = "none"
    facts: ExportFacts | None = None
    file: Path | None = None
    input: InputOptions = InputOptions()

    @property
    def dimension(self) -> int:
        """D of the embeddings."""
        return self.network.dimension

    @functools.cached_property
    def embedder(self) -> IdentityClassifier | ExportedNetwork:
        """The network in the form that embeds fastest (``models.folding``), made once: of a network that is changed afterwards it knows nothing."""
        if isinstance(self.network, ExportedNetwork):
            return self.network
        return for_embedding(self.network, self.size, devices.PRECISIONS[self.place.precision].dtype)

    @property
    def distance(self) -> str:
        """By which its embeddings are compared, ``euclidean`` or ``cosine``: what its run does, or an exported file of ours says."""
        if self.config is not None:
            return self.config.distance
        return self.facts.metric if self.facts is not None else "euclidean"

    @property
    def calibration_file(self) -> Path | None:
        """Where it is kept what distances mean: in the run folder, or beside a file that stands alone or is not what the run ends with."""
        if self.folder is not None and (self.file is None or os.path.realpath(self.file) == os.path.realpath(_last_model(self.folder))):
            return self.folder / CALIBRATION
        return None if self.file is None else self.file.with_name(f"{self.file.name}.{CALIBRATION}")

    @property
    def same_as(self) -> frozenset[str]:
        """Hashes of the networks whose embeddings are its own: its hash, and of a full-precision export that of its source."""
        return frozenset((self.model_hash, *((self.facts.source,) if self.facts is not None and self.facts.precision == "fp32" else ())))

    def source(self, paths: Sequence[files.Pathlike], *, memory_gb: float = 0.0, track: inference.Track = iter) -> ImageSource:
        """Image files as the network sees them where nothing is augmented, decoded on demand unless they fit into ``memory_gb``.

        Raises:
            UserError: no images, or (in memory at once; on demand, when it is met) one that cannot be read, by name.
        """
        workers = self.config.data.workers if self.config else 2
        return open_source(
            [Path(path) for path in paths], self.size, memory_gb=memory_gb, workers=workers, device=self.place.device, track=track, crop=self.crop
        )

    def embed(self, paths: Sequence[files.Pathlike], *, flip: bool = False, batch: int = 64, track: inference.Track = iter) -> np.ndarray:
        """Embeddings float32 ``(N, D)`` of image files, in their order; memory does not grow with their number.

        ``flip`` averages each with that of the mirrored image.

        Raises:
            UserError: no images, or one that cannot be read, by name.
        """
        return self.vectors(self.source(paths), flip=flip, batch=batch, track=track)

    def vectors(
        self, source: ImageSource, *, flip: bool = False, batch: int = inference.BATCH, track: inference.Track = iter, own: bool = False, place: devices.Place | None = None
    ) -> np.ndarray:
        """Embeddings float32 ``(N, D)`` of N images, in their order; see ``inference.embed``. ``place`` says otherwise than the network's own who shares the work."""
        return inference.embed(self.embedder, source, size=self.size, place=place or self.place, flip=flip, batch=batch, track=track, own=own)

    def embeddings(self, split: Split, *, flip: bool = False, track: inference.Track = iter, own: bool = False) -> Embeddings:
        """A split with its junk left out, as ``Embeddings``; of several processes each gets the whole, or (``own``) its part."""
        split = split.without_junk()
        vectors = self.vectors(self.source(split.files), flip=flip, track=track, own=own)
        if own:
            split = split.take(np.arange(*inference.own_rows(len(split), self.place)))
        return Embeddings(vectors=vectors, paths=split.paths, labels=split.labels, cameras=split.cameras, model=self.model_hash)


def load(path: files.Pathlike, device: str = "auto", *, precision: str = "auto", input: InputOptions | None = None) -> Trained:
    """A trained network.

    Args:
        path: a run folder (its last stage), a stage folder of it (``RUN/stages/1-first``), a ``model.safetensors``, or an exported file
            (``.onnx``, OpenVINO's ``.xml``, ``.pt2``), which runs on the CPU in its own precision.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: the run's where the device has it.
        input: what an exported file from elsewhere takes.

    Raises:
        UserError: no such checkpoint, an unfinished run, a damaged or foreign file, a device that is not there.
    """
    path = Path(path)
    if is_exported(path):
        return _exported(path, device, input or InputOptions())
    if input not in (None, InputOptions()):
        raise UserError(f"{path} is no exported file", "--input.… is for .onnx, .xml and .pt2 files from elsewhere.")
    where = checkpoint_file(path)
    file = read_model(where)
    run = _run_of(path)
    config = configuration.load(run / CONFIG) if run else None
    chosen = devices.choose(device)
    if precision == "auto":
        wanted = config.precision if config is not None else "fp32"
        precision = wanted if devices.computes(wanted, chosen) else "fp32"
    rank, world = devices.processes()
    place = devices.Place(chosen, precision, rank, world) if torch.distributed.is_initialized() else devices.Place(chosen, precision)
    return Trained(network_of(file).to(chosen), file.size, file.labels, file.hash, place, file.model, config, run, file.crop, file=where)


def _exported(path: Path, device: str, options: InputOptions) -> Trained:
    if device != "auto" and devices.choose(device).type != "cpu":
        raise UserError(f"{path} runs on the CPU here", "Leave --device out, or take the run that it was exported from.")
    opened = open_exported(path, options, (MEAN, STD))
    facts, place = opened.facts, devices.Place(torch.device("cpu"), "fp32", *devices.processes() if torch.distributed.is_initialized() else ())
    if facts is None:
        return Trained(opened.network, opened.size, np.empty(0, np.int64), opened.hash, place, ModelConfig(path.name, "none"), file=path, input=options)
    labels = np.array(facts.labels, dtype=np.int64)
    return Trained(opened.network, facts.size, labels, opened.hash, place, facts.model, crop=facts.crop, facts=facts, file=path)


def checkpoint_file(path: Path) -> Path:
    """The ``model.safetensors`` of a run folder (its last stage), a stage folder, or that file itself."""
    if path.is_file() or (path / MODEL).is_file():
        return path if path.is_file() else path / MODEL
    if not path.exists():
        raise UserError(f"there is no checkpoint {path}", "Give a run folder, a stage folder in it, or a model.safetensors.")
    if not (path / FACTS).is_file():
        raise UserError(f"{path} is no run folder", "A run folder holds run.json and stages/; the command train makes one.")
    last = _last_model(path)
    if not last.is_file():
        done = finished_stages(path)
        also = f" Its finished stage can be used as {done[-1]}." if done else ""
        raise UserError(f"the run {path} is not finished", f"{also} Go on with it: {command('train', '--resume', path)}".lstrip())
    return last


def _last_model(run: Path) -> Path:
    return run / "stages" / read_facts(run)["stages"][-1]["folder"] / MODEL


def _run_of(path: Path) -> Path | None:
    """The run that a run folder, a stage folder in it, or a file of weights in that belongs to; none for what stands alone, beside whatever config.yaml."""
    whole = Path(os.path.abspath(path))  # a name from inside the run has no folders above it
    stage = whole if whole.is_dir() else whole.parent
    candidates = (stage, stage.parent.parent) if stage.parent.name == "stages" else (stage,)
    found = next((folder for folder in candidates if (folder / CONFIG).is_file() and (folder / FACTS).is_file()), None)
    # As the user names things, in what is printed.
    return found if found is None or path.is_absolute() else Path(os.path.relpath(found))


# --- what else stands in a run folder ------------------------------------------------------------------------------


def read_log(stage: Path) -> list[dict[str, float | None]]:
    """The rows of a stage's ``log.csv`` as numbers, None for an empty cell; a last line without its end is left out."""
    path = Path(stage) / LOG
    if not path.is_file():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    with files.reading(path):
        return [{key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(io.StringIO(whole))]


def read_facts(run: Path) -> dict[str, Any]:
    """The contents of ``run.json``. Raises ``UserError`` for one that no run wrote."""
    facts = files.read_json(Path(run) / FACTS)
    if not isinstance(facts, dict) or "stages" not in facts:
        raise UserError(f"{Path(run) / FACTS} is not of a run", "Name a run folder that the command train or adopt made.")
    return facts


def is_adopted(facts: Mapping[str, Any]) -> bool:
    """Whether another toolkit trained the network that these facts (``run.json``) are of; then nothing is known of its training."""
    return "adopted" in facts
