"""Weights from a file: reading them without running code, and fitting them to a backbone with a report."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from .. import files
from ..errors import UserError

# Keys under which training scripts of the field store the weights, beside epoch, optimiser and scores.
NESTED = ("state_dict", "model_state_dict", "model", "net", "network")
# Wrappers add a word or two before each name ("module.", "module.base."), never more than this.
DEEPEST_PREFIX = 3
# A file belongs to another network if shapes differ and less than this share of the backbone's values fits ...
LEAST_SHARE = 0.5
# ... or if more tensors are left over than a head has, and more than this share of those that fit.
HEAD_TENSORS = 8
MOST_LEFT_OVER = 0.25
# Files of torchvision's DenseNets carry names with a dot that a module may no longer have.
OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")


@dataclass(frozen=True)
class Report:
    """Which tensors of a backbone came from a file.

    Args:
        source: the file, or whose download it was.
        matched: names in the backbone that were filled.
        missing: names in the backbone that the file lacks; they keep their initial values.
        unexpected: names in the file that the backbone lacks, such as those of a classifier's head.
        mismatched: (name, shape in the file, shape in the backbone); they keep their initial values too.
        share: fraction of the backbone's values that came from the file.
    """

    source: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    share: float

    @property
    def complete(self) -> bool:
        return not self.missing and not self.mismatched

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.mismatched)
        if self.complete:
            text = f"all {total} tensors of the backbone come from {self.source}"
        else:
            text = (
                f"ONLY PART of the backbone comes from {self.source}: {len(self.matched)} of {total} tensors, "
                f"{self.share:.0%} of its values; the rest keeps its initial values"
            )
        if self.missing:
            text += f"; missing in the file: {_some(self.missing)}"
        if self.mismatched:
            shapes = (f"{name} {_shape(theirs)} for {_shape(ours)}" for name, theirs, ours in self.mismatched)
            text += f"; of other shape: {_some(shapes)}"
        if self.unexpected:
            text += f"; not used from the file: {_some(self.unexpected)}"
        return text


def _some(names: Iterable[str], most: int = 4) -> str:
    names = list(names)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def made_for(path: str | Path) -> tuple[int, int] | None:
    """(height, width) of the images that a file of weights is for, where it says so (files written here do); else None."""
    path = files.expanded(path)
    if path.suffix != ".safetensors":
        return None
    try:
        with safetensors.safe_open(path, "pt") as opened:
            height, width = json.loads((opened.metadata() or {})["size"])
            return int(height), int(width)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a PyTorch file (``.pth``, ``.pt``, ``.tar``) by name, on the CPU.

    PyTorch files are read with ``weights_only``; the weights may be nested as training scripts nest them.

    Raises:
        UserError: no such file; truncated; it holds code or other objects than tensors and plain values; no tensors, or sparse, quantised, complex or empty ones.
    """
    path = files.expanded(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a file of weights", "Name the .safetensors or .pth file in it.")
    if not path.exists():
        raise UserError(f"there is no file of weights {path}", "Give 'imagenet', 'none', or the path of a file.")
    state = _tensors(_read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path))
    if not state:
        raise UserError(
            f"{path} holds no weights",
            f"A dictionary from names to tensors is needed, at the top or under one of {', '.join(NESTED)}.",
        )
    for name, value in state.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
            raise UserError(f"{path} holds {name} in a form that no network here has ({value.dtype}, {value.layout}, {value.device.type})", "Save plain tensors of real numbers.")
    return state


def _broken(path: Path, error: BaseException) -> UserError:
    # Only the formats' own errors have a helpful message; a KeyError from inside their readers does not.
    speaks = isinstance(error, RuntimeError | safetensors.SafetensorError)
    reason = re.split(r"\. |\n", str(error))[0] if speaks else type(error).__name__
    return UserError(f"{path} is truncated or no file of weights ({reason})", "Fetch or copy it again.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _broken(path, error) from None


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.filterwarnings("ignore", "Detected pickle protocol")  # a file that cannot be read is an error below
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except UnicodeDecodeError:  # Python 2 wrote it, as it did some of torchreid's zoo
                return torch.load(path, map_location="cpu", weights_only=True, encoding="latin1")
    except pickle.UnpicklingError as error:
        # PyTorch's own message is many lines long and advises to switch the protection off.
        refused = re.search(r"GLOBAL ([\w.]+)", str(error)) or re.search(r"[Uu]nsupported class\W+([\w.]+)", str(error))
        if refused is None:
            raise UserError(
                f"{path} is truncated, or a pickle of other things than weights, which is never run",
                "Fetch or copy it again.",
            ) from None
        raise UserError(
            f"{path} holds more than weights ({refused.group(1)}), and reading that could run code",
            "Where it was made, save its tensors alone with safetensors.torch.save_file.",
        ) from None
    except Exception as error:  # a damaged file fails anywhere in the reader: EOFError, RuntimeError, KeyError, …
        raise _broken(path, error) from None


def _numpy_scalars() -> list[Any]:
    """The types that NumPy's scalars need in a checkpoint: training scripts of the field store their scores as such scalars."""
    scalar = np.float64(0).__reduce__()[0]
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    dtypes = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_)}
    return [np.dtype, *dtypes, *((scalar, f"{module}.scalar") for module in modules)]


def _tensors(loaded: Any) -> dict[str, Tensor]:
    while isinstance(loaded, Mapping):
        found = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
        inner = next((loaded[key] for key in NESTED if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            return found
        loaded = inner
    return {}


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], source: str, name: str = "") -> Report:
    """Fills ``backbone`` in place with the tensors of ``state`` that have its names and shapes.

    The prefix that wrappers put before all names (``module.``, ``model.``, ``backbone.``) is found by trying which fits
    best. Counters of batches (``num_batches_tracked``) may be missing: older files have none, and nothing needs them.

    Args:
        source: what to call the file in the report and in errors.
        name: what to call the backbone in errors.

    Raises:
        UserError: no tensor fits, or so many differ in shape or are left over that the file is another network's. Then
            ``backbone`` is unchanged.
    """
    # Tensors are copied one by one: load_state_dict would alter networks by version marks, which safetensors do not keep.
    ours = backbone.state_dict()
    state = {_current_name(key): tensor for key, tensor in state.items()}
    prefix = _best_prefix(state, ours)
    named = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    fits = {key: named[key].shape == ours[key].shape for key in ours if key in named}
    matched = tuple(key for key, fit in fits.items() if fit)
    report = Report(
        source=source,
        matched=matched,
        missing=tuple(key for key in ours if key not in fits and not key.endswith("num_batches_tracked")),
        unexpected=tuple(key for key in state if not (key.startswith(prefix) and key.removeprefix(prefix) in ours)),
        mismatched=tuple((key, tuple(named[key].shape), tuple(ours[key].shape)) for key in fits if not fits[key]),
        share=sum(ours[key].numel() for key in matched) / max(1, sum(tensor.numel() for tensor in ours.values())),
    )
    _refuse_another_network(report, len(named) - len(matched), name or type(backbone).__name__)
    with torch.no_grad():
        for key in matched:
            ours[key].copy_(named[key])
    return report


def _current_name(name: str) -> str:
    old = OLD_DENSENET.match(name)
    return old.group(1) + old.group(2) if old else name


def _best_prefix(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    """The prefix whose removal gives most tensors a name and shape of ``ours``; of several equally good ones, the shortest."""
    words = (name.split(".")[: DEEPEST_PREFIX + 1] for name in state)
    prefixes = {"".join(f"{word}." for word in some[:depth]) for some in words for depth in range(len(some))}

    def fits(prefix: str) -> tuple[int, int]:
        shapes = {name[len(prefix) :]: tensor.shape for name, tensor in state.items() if name.startswith(prefix)}
        same = sum(name in ours and ours[name].shape == shape for name, shape in shapes.items())
        return same, sum(name in ours for name in shapes)

    return max(sorted(prefixes, key=lambda prefix: (len(prefix), prefix)), key=fits)


def _refuse_another_network(report: Report, left_over: int, name: str) -> None:
    """Raises ``UserError`` where the file is another network's; ``left_over`` is the number of its tensors with the same prefix that fit nowhere."""
    # A counter fits any network with BatchNorm, so it is no evidence for this one.
    fitting = [key for key in report.matched if not key.endswith("num_batches_tracked")]
    hint = "Choose the --model.backbone that the file was made with, or another --model.weights."
    if not fitting:
        raise UserError(f"nothing in {report.source} fits {name}", hint)
    contradicts = bool(report.mismatched) and report.share < LEAST_SHARE
    if contradicts or left_over > max(HEAD_TENSORS, MOST_LEFT_OVER * len(report.matched)):
        raise UserError(
            f"{report.source} is of another architecture than {name}: {report.share:.0%} of the backbone's values fit, "
            f"and {left_over} tensors of the file fit nowhere",
            hint,
        )
