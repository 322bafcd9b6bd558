"""An exported file (ONNX, OpenVINO, torch.export) used as a network: one exported here, or one from elsewhere with options that describe its input."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Optional

import numpy as np
import torch
from torch import Tensor, nn

from .. import files
from ..config import MEAN, STD
from ..errors import UserError, first_line
from ..registered import function_of
from .classifier import Output
from .exported_engine import Engine, Port
from .exported_facts import ExportFacts, read_facts

ENGINES: dict[str, str] = {
    ".onnx": "reid_srdl.models.exported_onnx:open_file",
    ".xml": "reid_srdl.models.exported_openvino:open_file",
    ".pt2": "reid_srdl.models.exported_torch:open_file",
}
"""Suffix of a file to the function that opens it."""

_FLOATS = ("float32", "float16", "float64")
_WAY_OUT = "Give --input.size HEIGHT WIDTH, --input.mean R G B and --input.std R G B (and --input.order bgr, --input.white 255 where it wants them)."


@dataclass(frozen=True)
class InputOptions:
    """What an exported network from elsewhere takes; those exported here say it themselves.

    Args:
        size: (height, width) in pixels; null where the file has it.
        mean: of each channel in the network's own order, which sees (pixel - mean) / std; none for one that takes whole numbers (uint8).
        std: of each channel, in that formula.
        order: of the channels, ``rgb`` or ``bgr``.
        white: of a white pixel in that formula, 1 or 255; mean and std count in the same unit.
    """

    size: Optional[tuple[int, int]] = None
    mean: Optional[tuple[float, float, float]] = None
    std: Optional[tuple[float, float, float]] = None
    order: Literal["rgb", "bgr"] = "rgb"
    white: Literal[1, 255] = 1


def input_words(options: InputOptions) -> list[str]:
    """The options as words of a command line, defaults left out."""
    words = []
    for option in dataclasses.fields(options):
        value = getattr(options, option.name)
        if value != option.default:
            words += [f"--input.{option.name}", *map(str, value if isinstance(value, tuple) else [value])]
    return words


@dataclass(frozen=True)
class Pixels:
    """How a file wants its pixels: ``InputOptions`` with every choice made."""

    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    order: str = "rgb"
    white: float = 255.0


@dataclass(frozen=True, eq=False)
class Exported:
    """An opened file.

    Args:
        network: takes the same input as every network here.
        facts: what the file says about itself; None for a file from elsewhere.
        hash: SHA-256 of the file (of both of OpenVINO's), not that of its source: a rounded network is another one. For a file from
            elsewhere, the hash covers its ``Pixels`` too, since the vectors depend on them.
        size: (height, width) of its input in pixels.
    """

    network: ExportedNetwork
    facts: ExportFacts | None
    hash: str
    size: tuple[int, int]


def is_exported(path: Path | str) -> bool:
    """Whether a checkpoint is an exported file, by its suffix; a folder never is, as a run may have any name."""
    return Path(path).suffix.lower() in ENGINES and not Path(path).is_dir()


def is_from_elsewhere(path: Path | str) -> bool:
    """Whether a checkpoint is an exported file that does not describe its input, so that ``InputOptions`` must. Raises ``UserError`` where it cannot be opened."""
    return is_exported(path) and _opened(Path(path)).facts is None


def open_exported(path: Path, options: InputOptions) -> Exported:
    """Opens a file and tries it on a black image.

    Args:
        path: with a suffix of ``ENGINES``.
        options: describe the input of a file from elsewhere.

    Raises:
        UserError: no such file; a library that is not installed; no network that maps images to one vector each; options that are missing or have no use.
    """
    path = Path(path)
    engine = _opened(path)
    port = _image_input(engine, path)
    if engine.facts is None:
        facts, pixels = None, _foreign(engine, port, options, path)
    else:
        facts = read_facts(engine.facts, path)
        if options != InputOptions():
            raise UserError(f"{path} was exported here and says itself what it takes", "Leave --input.… out.")
        pixels = Pixels(facts.size)
    network = ExportedNetwork(engine, pixels, path)
    digest = file_hash(path)
    return Exported(network, facts, digest if facts is not None else files.sha256_json([digest, dataclasses.asdict(pixels)]), pixels.size)


def _opened(path: Path) -> Engine:
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}", "Give a run folder, a stage folder in it, a model.safetensors, or a file that export wrote.")
    return function_of(ENGINES[path.suffix.lower()])(path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file and of those that hold its weights: OpenVINO's ``.bin`` beside it, an ONNX file's external data."""
    if path.suffix.lower() == ".xml":
        return files.sha256_file(path, path.with_suffix(".bin"))
    if path.suffix.lower() == ".onnx":
        from .exported_onnx import external_data

        return files.sha256_file(path, *external_data(path))
    return files.sha256_file(path)


def _image_input(engine: Engine, path: Path) -> Port:
    """The only input. Raises ``UserError`` where there are several, or where it does not take images of three channels."""
    if len(engine.inputs) != 1:
        raise UserError(f"{path} has {len(engine.inputs)} inputs ({_listed(engine.inputs)})", "A network that embeds has one: images.")
    port = engine.inputs[0]
    if port.dtype not in (*_FLOATS, "uint8"):
        raise UserError(f"{path} takes {port.name} as {port.dtype}", f"Known are {', '.join(_FLOATS)} and uint8.")
    if port.shape is not None and (len(port.shape) != 4 or 3 not in (port.shape[1], port.shape[3]) and None not in (port.shape[1], port.shape[3])):
        shape = _shown(port.shape)
        raise UserError(f"{path} takes {port.name} of shape {shape}, which is no image of three channels", "It must be (B, 3, H, W) or (B, H, W, 3).")
    return port


def _foreign(engine: Engine, port: Port, options: InputOptions, path: Path) -> Pixels:
    """How a file from elsewhere wants its pixels. Raises ``UserError`` unless file and options together say so, and the only output is a vector per image."""
    if len(engine.outputs) != 1:
        hint = "Keep the one that is the embedding, (B, D), and save the file again."
        raise UserError(f"{path} has {len(engine.outputs)} outputs ({_listed(engine.outputs)})", hint)
    made = engine.outputs[0]
    if made.shape is not None and len(made.shape) != 2:
        raise UserError(f"{path} makes {made.name} of shape {_shown(made.shape)}, which is no vector an image", "Its output must be (B, D).")
    size = _size(port, options, path)
    if port.dtype == "uint8":
        if (options.mean, options.std, options.white) != (None, None, 1):
            hint = "Leave --input.mean, --input.std and --input.white out."
            raise UserError(f"{path} takes whole numbers (uint8), from which nothing can be taken out before", hint)
        return Pixels(size, order=options.order)
    if options.mean is None or options.std is None:
        raise UserError(f"{path} was not exported here and does not say how its images are normalised", _WAY_OUT)
    for name, values in (("mean", options.mean), ("std", options.std)):
        if not all(map(math.isfinite, values)):
            raise UserError(f"--input.{name} is {values}", "They must be finite numbers.")
    if options.white == 1 and max(*options.mean, *options.std) > 1:
        raise UserError(f"--input.mean {options.mean} and --input.std {options.std} are of pixels from 0 to 255", "Add --input.white 255.")
    if min(options.std) <= 0:
        raise UserError(f"--input.std is {options.std}", "Standard deviations are above 0.")
    return Pixels(size, options.mean, options.std, options.order, options.white)


def _size(port: Port, options: InputOptions, path: Path) -> tuple[int, int]:
    shape = port.shape or (None,) * 4
    fixed = shape[1:3] if _channels_last(port) else shape[2:4]
    if options.size is None:
        if None in fixed:
            raise UserError(f"{path} was not exported here and does not say the size of its images", _WAY_OUT)
        return fixed
    if any(there not in (None, said) for there, said in zip(fixed, options.size, strict=True)) or min(options.size) < 1:
        raise UserError(f"{path} takes images of {_shown(fixed)}, not of {_shown(options.size)}", "--input.size is height and width in pixels.")
    return options.size


def _channels_last(port: Port) -> bool:
    return port.shape is not None and port.shape[3] == 3 and port.shape[1] != 3


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(port.name for port in ports) or "none"


def _shown(lengths: tuple[int | None, ...]) -> str:
    return " x ".join("?" if length is None else str(length) for length in lengths)


class ExportedNetwork(nn.Module):
    """Behaves like an ``IdentityClassifier`` in eval mode, on the CPU: takes normalised images and converts them to the pixels that the file wants.

    A file's first output is the embedding; the second, where there is one, the logits.

    Args:
        engine: the opened file.
        pixels: how its input wants them.
        path: of the file, for messages.

    Attributes:
        engine: the opened file.
        dimension: D.

    Raises:
        UserError: the file cannot be run, or its output is not one vector per image.
    """

    def __init__(self, engine: Engine, pixels: Pixels, path: Path) -> None:
        super().__init__()
        self.engine, self._pixels, self._path = engine, pixels, path
        self._port = engine.inputs[0]
        self._mean, self._std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        black = (torch.zeros(1, 3, *pixels.size) - self._mean) / self._std
        self.dimension = self.embed(black).shape[1]

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings float32 ``(B, D)`` of normalised images ``(B, 3, H, W)``."""
        return self._outputs(images)[0]

    def forward(self, images: Tensor) -> Output:
        """Embeddings and the file's logits. Raises ``UserError`` where it has no logits."""
        embedding, *others = self._outputs(images)
        if not others:
            raise UserError(f"{self._path} holds no classifier", "Export the network with --logits.")
        return Output(embedding, embedding, others[0])

    def _outputs(self, images: Tensor) -> list[Tensor]:
        pixels = self._wanted(images.detach().float().cpu())
        # A file may be made for a fixed number of images: the last part is filled up, and the surplus outputs are cut off.
        fixed = (self._port.shape[0] if self._port.shape else None) or len(pixels)
        parts = [pixels[start : start + fixed] for start in range(0, len(pixels), fixed)]
        made = [self._run(np.resize(part, (fixed, *part.shape[1:]))) for part in parts]
        return [torch.from_numpy(np.concatenate(pieces)[: len(pixels)]) for pieces in zip(*made, strict=True)]

    def _run(self, pixels: np.ndarray) -> list[np.ndarray]:
        try:
            outputs = [np.asarray(output) for output in self.engine.run(pixels)]
        except Exception as error:  # the libraries have exceptions of their own
            what = f"{self._path} cannot be run on images of {_shown(self._pixels.size)} ({first_line(error)})"
            raise UserError(what, "Was it made for another size, or is it damaged?") from None
        for output in outputs:
            if output.ndim != 2 or len(output) != len(pixels):
                raise UserError(f"{self._path} makes {_shown(output.shape)} of {len(pixels)} images, which is no vector an image", "Its output must be (B, D).")
        return [output.astype(np.float32) for output in outputs]

    def _wanted(self, images: Tensor) -> np.ndarray:
        """From normalised images to what the file's input takes."""
        shares = images * self._std + self._mean
        if self._pixels.order == "bgr":
            shares = shares.flip(1)
        if self._port.dtype == "uint8":
            # What was normalised were whole numbers, and these are they again.
            pixels = (shares * 255).round().clamp(0, 255)
        else:
            mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self._pixels.mean, self._pixels.std))
            pixels = (shares * self._pixels.white - mean) / std
        if _channels_last(self._port):
            pixels = pixels.permute(0, 2, 3, 1)
        return np.ascontiguousarray(pixels.numpy().astype(self._port.dtype))
