"""Loads checkpoints of other re-identification toolkits: the whole network or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config import ModelConfig
from ..errors import UserError
from .classifier import IdentityClassifier
from .from_fastreid import PADDED
from .weights import Report, read_state

Size = tuple[int, int]
NAMED = 3
"""The most tensors that a message names."""


@dataclass(frozen=True)
class Toolkit:
    """How a toolkit's checkpoints are laid out.

    Args:
        renamed: how its tensors are renamed: pairs (prefix there, prefix here), of which the first that fits is used; an empty one here means unused.
        library: prefix before the colon of backbones that are built as this toolkit builds them; empty where they are the same as here.
        last_stride: stride of the last stage of its ResNets, which the weights do not show.
        distance: the one that its recipes score by.
    """

    renamed: tuple[tuple[str, str], ...]
    library: str
    last_stride: int
    distance: str


TOOLKITS = {
    "torchreid": Toolkit((("classifier.", "classifier."), ("", "backbone.")), "", 2, "euclidean"),
    "fastreid": Toolkit(
        (
            ("backbone.", "backbone."), ("heads.pool_layer.", "backbone.avgpool."), ("heads.bottleneck.0.", "neck."), ("heads.bnneck.", "neck."),
            ("heads.weight", "classifier.weight"), ("heads.classifier.", "classifier."), ("pixel_", ""),
        ),
        "fastreid", 1, "cosine",
    ),
}  # fmt: skip

UNKNOWN_LAYERS = {
    "NL_": "non-local blocks",
    ".IN.": "instance normalisation (IBN)",
    ".se.": "squeeze-and-excitation",
    "b1.": "branches of parts (MGN)",
    "heads.bottleneck.1.": "a layer that makes its embedding shorter",
}
"""Parts of tensor names that show a layer which the chosen network lacks, and what that layer is called."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """A checkpoint of another toolkit.

    Args:
        file: its path.
        toolkit: a key of ``TOOLKITS``.
        state: its tensors under the names that they have here.
        unused: names of tensors that are no part of a network.
        padded: whether it comes from fast-reid's early code, whose max-pooling pads; it is known by the neck's name then, ``heads.bnneck``.
        mean, std: what images are normalised by, three numbers each, in units of 0..1; None where the file does not say.
    """

    file: Path
    toolkit: str
    state: dict[str, Tensor]
    unused: tuple[str, ...]
    padded: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None

    @property
    def identities(self) -> int:
        """C, the number of identities of its classifier."""
        return len(self.state["classifier.weight"])


def read(file: str | Path) -> Foreign:
    """A checkpoint of torchreid or fast-reid, read without running code.

    Raises:
        UserError: as ``weights.read_state``; there is no classifier in it.
    """
    state = {name.removeprefix("module."): tensor for name, tensor in read_state(file).items()}
    toolkit = "fastreid" if any(name.startswith("heads.") for name in state) else "torchreid"
    ours: dict[str, Tensor] = {}
    unused = []
    for name, tensor in state.items():
        new = _renamed(name, TOOLKITS[toolkit])
        if new:
            ours[new] = tensor.float() if tensor.is_floating_point() else tensor
        else:
            unused.append(name)
    if ours.get("classifier.weight", torch.empty(0)).ndim != 2 or not len(ours["classifier.weight"]):
        raise UserError(
            f"{file} has no classifier of identities, as torchreid's and fast-reid's checkpoints have",
            "To start training from a backbone alone, give train --model.weights FILE.",
        )
    mean, std = (_three(state.get(name)) for name in ("pixel_mean", "pixel_std"))
    padded = any(name.startswith("heads.bnneck.") for name in state)
    broken = next((name for name, tensor in ours.items() if tensor.is_floating_point() and not tensor.isfinite().all()), None)
    if broken:
        raise UserError(f"{file} holds numbers that are none (NaN or infinite) in {broken}", "Its training went astray, or it is damaged: take another one.")
    return Foreign(Path(file), toolkit, ours, tuple(unused), padded, mean, std)


def _renamed(name: str, toolkit: Toolkit) -> str:
    for theirs, ours in toolkit.renamed:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs) if ours else ""
    return name


def _three(values: Tensor | None) -> tuple[float, ...] | None:
    """Three numbers in units of 0..1, from fast-reid's in units of 0..255."""
    return None if values is None else tuple(round(value / 255, 6) for value in values.flatten().tolist())


def model_of(foreign: Foreign, backbone: str, *, pooling: str | None = None, last_stride: int | None = None) -> ModelConfig:
    """How the network of a checkpoint is built here.

    Args:
        foreign: the checkpoint.
        backbone: name of the backbone here.
        pooling: to be given where the file does not show it; ``None`` means ``gem`` where the file holds a power, else ``avg``.
        last_stride: ``None`` means the toolkit's usual.

    Raises:
        UserError: the toolkit builds a backbone of that name differently.
    """
    toolkit = TOOLKITS[foreign.toolkit]
    if toolkit.library and not backbone.startswith(f"{toolkit.library}:"):
        raise UserError(
            f"{foreign.file} is of {foreign.toolkit}, whose networks differ from {backbone} in layers without weights",
            f"Give --backbone {toolkit.library}:{backbone.rpartition(':')[2]}.",
        )
    others = {other.library: name for name, other in TOOLKITS.items() if other.library and other.library != toolkit.library}
    if (library := backbone.rpartition(":")[0]) in others:
        raise UserError(
            f"{foreign.file} is of {foreign.toolkit}, and {backbone} is built as {others[library]} builds it, which differs in layers without weights",
            f"Give --backbone {backbone.rpartition(':')[2]}, or torchreid:NAME.",
        )
    if foreign.padded and not backbone.endswith(PADDED):
        backbone += PADDED
    power = "backbone.avgpool.p" in foreign.state
    return ModelConfig(
        backbone=backbone,
        weights="none",
        neck="bnneck" if "neck.weight" in foreign.state else "none",
        last_stride=last_stride or (toolkit.last_stride if "resnet" in backbone else 2),
        pooling=pooling or ("gem" if power else "avg"),
    )


def adopt(foreign: Foreign, model: ModelConfig, size: Size) -> IdentityClassifier:
    """The network of a checkpoint, in eval mode; its ``weights_report`` says what came from the file.

    Args:
        foreign: the checkpoint.
        model: how it is built, see ``model_of``.
        size: (height, width) of its images in pixels.

    Raises:
        UserError: as ``build``; a tensor is missing, left over or of another shape. A network is never filled in part.
    """
    from . import configured

    network = configured(dataclasses.replace(model, weights="none"), foreign.identities, size)
    wanted, state = network.state_dict(), dict(foreign.state)
    for name in wanted:
        if name not in state and _has_default(name, model):
            state[name] = wanted[name] if not name.startswith("classifier.") else torch.zeros_like(wanted[name])
    _refuse_what_does_not_fit(foreign, model, state, wanted)
    network.load_state_dict(state)
    network.weights_report = Report(str(foreign.file), tuple(foreign.state), (), foreign.unused, (), 1.0)
    return network.eval()


def _has_default(name: str, model: ModelConfig) -> bool:
    """Whether a tensor may be missing from the file: a counter of batches, a power that is not learnt, the bias of a classifier that has none."""
    return name.endswith("num_batches_tracked") or name.endswith("avgpool.p") or (name == "classifier.bias" and model.neck == "none")


def _refuse_what_does_not_fit(foreign: Foreign, model: ModelConfig, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    over = [name for name in state if name not in wanted]
    missing = [name for name in wanted if name not in state]
    other = [f"{name} ({_shape(state[name])} for {_shape(wanted[name])})" for name in wanted if name in state and state[name].shape != wanted[name].shape]
    parts = {"it has": over, "it lacks": missing, "of other shape are": other}
    said = [f"{what} {', '.join(names[:NAMED])}{f' and {len(names) - NAMED} more' if len(names) > NAMED else ''}" for what, names in parts.items() if names]
    if not said:
        return
    layers = [called for sign, called in UNKNOWN_LAYERS.items() if any(sign in name for name in over)]
    why = f"a {model.backbone} has no {' and no '.join(layers)}" if layers else "; ".join(said)
    raise UserError(
        f"{foreign.file} does not fit {model.backbone}: {why}",
        "Name the network that it was made with by --backbone (and --pooling, --last_stride); nothing is loaded by half.",
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
