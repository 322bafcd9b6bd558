"""Weights from a file: reading them without running code, and fitting them to a backbone with a report."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..errors import UserError

# Under which key training scripts of the field store the weights beside epoch, optimiser and scores.
NESTED = ("state_dict", "model_state_dict", "model", "net", "network")
# Wrappers add a word or two before each name ("module.", "module.base."), never more than this.
DEEPEST_PREFIX = 3
# Below this share of its values a file that also holds much else is another network's.
LEAST_SHARE = 0.5
# Files of torchvision's DenseNets carry names with a dot that a module may no longer have.
OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$")


@dataclass(frozen=True)
class Report:
    """Which tensors of a backbone came from a file.

    Args:
        source: the file, or whose download it was.
        matched: names in the backbone that were filled.
        missing: names in the backbone that the file lacks; they keep their initial values.
        unexpected: names in the file that the backbone lacks; the head of a classifier stands here.
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


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a PyTorch file (``.pth``, ``.pt``, ``.tar``) by name, on the CPU.

    PyTorch files are read with ``weights_only``; the weights may be nested as training scripts nest them.

    Raises:
        UserError: no such file; truncated; it holds code or other objects than tensors and plain values; no tensors.
    """
    path = Path(path)
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
    return state


def _broken(path: Path, detail: object) -> UserError:
    reason = str(detail).strip().split("\n")[0][:120] or type(detail).__name__
    return UserError(f"{path} is truncated or no file of weights ({reason})", "Fetch or copy it again.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _broken(path, error) from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own words run over many lines and advise to switch the protection off.
        refused = re.search(r"GLOBAL ([\w.]+)|[Uu]nsupported (?:global|class)\W+([\w.]+)|class ([\w.]+)", str(error))
        if refused is None:
            raise _broken(path, error) from None
        name = next(group for group in refused.groups() if group)
        raise UserError(
            f"{path} holds more than weights ({name}), and reading that could run code",
            "Where it was made, save its tensors alone with safetensors.torch.save_file.",
        ) from None
    except Exception as error:  # a damaged file fails anywhere in the reader: EOFError, RuntimeError, KeyError, …
        raise _broken(path, error) from None


def _tensors(loaded: Any) -> dict[str, Tensor]:
    while isinstance(loaded, Mapping):
        found = {str(name): value for name, value in loaded.items() if isinstance(value, Tensor)}
        inner = next((loaded[key] for key in NESTED if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            return found
        loaded = inner
    return {}


def load_backbone(backbone: nn.Module, state: Mapping[str, Tensor], source: str) -> Report:
    """Fills ``backbone`` in place with the tensors of ``state`` that have its names and shapes.

    What wrappers put before all names (``module.``, ``model.``, ``backbone.``) is found by which beginning fits best.
    Counters of seen batches (``num_batches_tracked``) may be absent: older files have none, and nothing depends on them.

    Args:
        source: what to call the file in the report and in errors.

    Raises:
        UserError: nothing fits, or so little of a file with much else that it is another network's. Then ``backbone``
            is unchanged.
    """
    # Tensors are copied one by one: load_state_dict would change networks by version marks that safetensors lacks.
    ours = backbone.state_dict()
    state = {_current_name(name): tensor for name, tensor in state.items()}
    prefix = _best_prefix(state, ours)
    named = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
    matched = tuple(name for name in ours if name in named and named[name].shape == ours[name].shape)
    mismatched = tuple(
        (name, tuple(named[name].shape), tuple(ours[name].shape))
        for name in ours
        if name in named and named[name].shape != ours[name].shape
    )
    missing = tuple(name for name in ours if name not in named and not name.endswith("num_batches_tracked"))
    used = {prefix + name for name in ours}
    report = Report(
        source=source,
        matched=matched,
        missing=missing,
        unexpected=tuple(name for name in state if name not in used),
        mismatched=mismatched,
        share=sum(ours[name].numel() for name in matched) / max(1, sum(tensor.numel() for tensor in ours.values())),
    )
    _refuse_another_network(backbone, report)
    with torch.no_grad():
        for name in matched:
            ours[name].copy_(named[name])
    return report


def _current_name(name: str) -> str:
    old = OLD_DENSENET.match(name)
    return old.group(1) + old.group(2) if old else name


def _best_prefix(state: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str:
    """The beginning of names without which most tensors have a name and shape of ``ours``; the shortest of equals."""
    words = (name.split(".")[: DEEPEST_PREFIX + 1] for name in state)
    prefixes = {"".join(f"{word}." for word in some[:depth]) for some in words for depth in range(len(some))}

    def fits(prefix: str) -> tuple[int, int]:
        shapes = {name[len(prefix) :]: tensor.shape for name, tensor in state.items() if name.startswith(prefix)}
        same = sum(name in ours and ours[name].shape == shape for name, shape in shapes.items())
        return same, sum(name in ours for name in shapes)

    return max(sorted(prefixes, key=lambda prefix: (len(prefix), prefix)), key=fits)


def _refuse_another_network(backbone: nn.Module, report: Report) -> None:
    # A counter fits any network with BatchNorm, so it does not speak for this one.
    fitting = [name for name in report.matched if not name.endswith("num_batches_tracked")]
    hint = "Choose the --model.backbone that the file was made with, or another --model.weights."
    if not fitting:
        raise UserError(f"nothing in {report.source} fits {type(backbone).__name__}", hint)
    left_over = bool(report.mismatched) or len(report.unexpected) > len(report.matched)
    if report.share < LEAST_SHARE and left_over:
        raise UserError(
            f"{report.source} is of another architecture than {type(backbone).__name__}: only {report.share:.0%} of the "
            f"backbone's values fit",
            hint,
        )
