"""A trained network in use: ``load`` makes it, and it embeds images."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import config as configuration
from .. import devices, files, inference, ranks
from ..config import Config, ModelConfig
from ..data.decoding import Picture
from ..data.images import GivenImages, ImageSource, open_source
from ..data.records import Split
from ..embeddings import Embeddings
from ..errors import UserError
from ..models import IdentityClassifier
from ..models.exported import ExportedNetwork, InputOptions, is_exported, open_exported
from ..models.exported_facts import ExportFacts
from ..models.folding import for_embedding
from .layout import CALIBRATION, CONFIG, checkpoint_file, last_model, run_of
from .model_file import network_of, read_model


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network that embeds images; ``load`` makes one.

    Attributes:
        network: the ``IdentityClassifier``, in eval mode on ``place.device``, or an exported file that behaves like one.
        size: (height, width) of its input in pixels; images of any size are resized, or their centre is (``crop``).
        labels: int64 ``(C,)``, the training label of each class; empty for an exported file without logits.
        model_hash: of its weights and of how they are used (``ModelFile.hash``); of an exported file, of that file.
        place: device and precision.
        config: of the run, where it is known.
        folder: of the run, where it is known.
        crop: how images were cropped in training (``data.crop``); after random crops it sees the centre where nothing is random.
        facts: what an exported file of ours says of itself, such as the hash of its source.
        file: that the weights were read from.
        input: what the user said of the input of an exported file from elsewhere.
        names: the data set's name of each class, where the file of weights has them.
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
    names: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        of = self.folder or self.file or self.model.backbone
        return f"Trained({of}: {self.model.backbone}, {self.size[0]}x{self.size[1]} pixels to {self.dimension} numbers, on {self.place.device} in {self.place.precision})"

    @property
    def dimension(self) -> int:
        """D of the embeddings."""
        return self.network.dimension

    @functools.cached_property
    def embedder(self) -> IdentityClassifier | ExportedNetwork:
        """The network in the form that embeds fastest (``models.folding``), made once: later changes to ``network`` do not reach it."""
        if isinstance(self.network, ExportedNetwork):
            return self.network
        return for_embedding(self.network, self.size, devices.PRECISIONS[self.place.precision].dtype)

    @property
    def distance(self) -> str:
        """The distance by which its embeddings are compared, ``euclidean`` or ``cosine``: that of its run or of an exported file of ours, else ``euclidean``."""
        if self.config is not None:
            return self.config.distance
        return self.facts.metric if self.facts is not None else "euclidean"

    @property
    def calibration_file(self) -> Path | None:
        """Where its calibration is kept: in the run folder, or beside its file where that stands alone or is not the network that the run ends with."""
        if self.folder is not None and (self.file is None or os.path.realpath(self.file) == os.path.realpath(last_model(self.folder))):
            return self.folder / CALIBRATION
        return None if self.file is None else self.file.with_name(f"{self.file.name}.{CALIBRATION}")

    @property
    def same_as(self) -> frozenset[str]:
        """Hashes of the networks that give the same embeddings: its own, and for a full-precision export that of its source."""
        return frozenset((self.model_hash, self.embeds_as))

    @property
    def embeds_as(self) -> str:
        """The hash that its embeddings carry: its own, or for a full-precision export that of its source, since both may share an index."""
        return self.facts.source if self.facts is not None and self.facts.precision == "fp32" else self.model_hash

    def source(self, paths: Sequence[files.Pathlike], *, memory_gb: float = 0.0) -> ImageSource:
        """Image files as the network sees them without augmentation, decoded on demand unless they fit into ``memory_gb``.

        Raises:
            UserError: no images, or one that cannot be read, by name: at once where images are kept in memory, else when it is reached.
        """
        workers = self.config.data.workers if self.config else 2
        return open_source([Path(path) for path in paths], self.size, memory_gb=memory_gb, workers=workers, device=self.place.device, crop=self.crop)

    def embed(self, images: Iterable[files.Pathlike] | Iterable[Picture], *, flip: bool = False, batch: int = inference.BATCH, track: inference.Track = iter) -> np.ndarray:
        """Embeddings float32 ``(N, D)`` of images, in their order.

        Args:
            images: N files, of which no more than a batch is held in memory; or N pictures that are there already: Pillow's, or uint8 ``(H, W, 3)`` in RGB.
            flip: average each with that of the mirrored image.
            batch: images that pass through the network together.
            track: wraps the iteration over batches, for a progress bar.

        Raises:
            UserError: no images, paths among pictures, or an image that cannot be read, by name (of pictures by their place).
        """
        if isinstance(images, (str, bytes, os.PathLike)):
            raise UserError(f"embed was given one path, {os.fspath(images)!r}, and takes several", "Put it into a list: embed([path]).")
        if not isinstance(images, Iterable):
            raise UserError(f"embed was given one picture, of type {type(images).__name__}, and takes several", "Put it into a list: embed([picture]).")
        if batch < 1:
            raise UserError(f"batch is {batch}", "It must be above 0.")
        images = list(images)
        names = sum(isinstance(image, (str, os.PathLike)) for image in images)
        if 0 < names < len(images):
            raise UserError(f"embed was given {names:,} paths among {len(images):,} images", "Embed paths and pictures in two calls.")
        source = self.source(images) if names else GivenImages(images, self.size, self.crop)
        return self.vectors(source, flip=flip, batch=batch, track=track)

    def vectors(
        self, source: ImageSource, *, flip: bool = False, batch: int = inference.BATCH, track: inference.Track = iter, own: bool = False, place: devices.Place | None = None
    ) -> np.ndarray:
        """Embeddings float32 ``(N, D)`` of N images, in their order; see ``inference.embed``. ``place`` replaces the network's own, and so says which processes share the work."""
        return inference.embed(self.embedder, source, size=self.size, place=place or self.place, flip=flip, batch=batch, track=track, own=own)

    def embeddings(self, split: Split, *, flip: bool = False, track: inference.Track = iter, own: bool = False) -> Embeddings:
        """The embeddings of a split without its junk; of several processes each gets the whole, or with ``own`` its part."""
        split = split.without_junk()
        vectors = self.vectors(self.source(split.files), flip=flip, track=track, own=own)
        if own:
            split = split.take(np.arange(*inference.own_rows(len(split), self.place)))
        return Embeddings(vectors=vectors, paths=split.paths, labels=split.labels, cameras=split.cameras, model=self.embeds_as, flip=flip)


def load(path: files.Pathlike, device: str = "auto", *, precision: str = "auto", input: InputOptions | None = None) -> Trained:
    """A trained network.

    Args:
        path: a run folder (its last stage), a stage folder of it (``RUN/stages/1-first``), a ``model.safetensors``, or an exported file
            (``.onnx``, OpenVINO's ``.xml``, ``.pt2``), which runs on the CPU in its own precision.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``: the run's where the device has it, else ``fp32``.
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
    run = run_of(path)
    config = configuration.load(run / CONFIG) if run else None
    chosen = devices.choose(device)
    if precision not in ("auto", *devices.PRECISIONS):
        raise UserError(f"there is no precision {precision!r}", f"Choose auto, {', '.join(devices.PRECISIONS)}.")
    if precision == "auto":
        wanted = config.precision if config is not None else "fp32"
        precision = wanted if devices.computes(wanted, chosen) else "fp32"
    rank, world = ranks.own()
    place = devices.Place(chosen, precision, rank, world) if torch.distributed.is_initialized() else devices.Place(chosen, precision)
    return Trained(network_of(file).to(chosen), file.size, file.labels, file.hash, place, file.model, config, run, file.crop, file=where, names=file.names)


def _exported(path: Path, device: str, options: InputOptions) -> Trained:
    if device != "auto" and devices.choose(device).type != "cpu":
        raise UserError(f"{path} runs on the CPU here", "Leave --device out, or take the run that it was exported from.")
    opened = open_exported(path, options)
    facts, place = opened.facts, devices.Place(torch.device("cpu"), "fp32", *ranks.own() if torch.distributed.is_initialized() else ())
    if facts is None:
        return Trained(opened.network, opened.size, np.empty(0, np.int64), opened.hash, place, ModelConfig(path.name, "none"), file=path, input=options)
    labels = np.array(facts.labels, dtype=np.int64)
    return Trained(opened.network, facts.size, labels, opened.hash, place, facts.model, crop=facts.crop, facts=facts, file=path)
