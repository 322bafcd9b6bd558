"""One network in one file: all that is needed to use it, and checksums that tell whether it is whole."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

from .. import files
from ..config import ModelConfig
from ..data import crops
from ..errors import UserError
from ..models import IdentityClassifier, configured
from ..shell import command
from .layout import run_of

_FORMAT = "reid_srdl model 1"


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a ``model.safetensors`` holds.

    Args:
        state: weights and running statistics by name.
        model: how the network is built.
        size: (height, width) of its input in pixels.
        labels: int64 ``(C,)``, the data set's label of each class.
        hash: SHA-256 of all that decides what the network makes of an image: ``state``, how it is built, ``size`` and ``crop``.
        crop: how images were cropped in training (``data.crop``).
        names: the data set's name of each class; none for people.
    """

    state: dict[str, torch.Tensor]
    model: ModelConfig
    size: tuple[int, int]
    labels: np.ndarray
    hash: str
    crop: str = "none"
    names: tuple[str, ...] | None = None


def state_hash(state: dict[str, torch.Tensor]) -> str:
    """SHA-256 of names, types and values."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_model(
    path: Path, network: IdentityClassifier, model: ModelConfig, size: tuple[int, int], labels: np.ndarray, crop: str = "none", names: Sequence[str] | None = None
) -> str:
    """Writes the network and all that is needed to use it; returns its hash (``ModelFile.hash``)."""
    # safetensors stores contiguous tensors that share no memory: channels-last weights are written in the plain order, and tied ones once under each name.
    state = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in network.state_dict().items()}
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
    if names is not None:
        metadata["names"] = json.dumps(list(names))
    metadata["facts"] = _facts_hash(metadata)
    # As bytes, since safetensors' own writer raises another exception where the disk is full.
    files.write_bytes(path, files.canonical_safetensors(serialised(state, metadata=metadata)))
    return _hash(digest, model, size, crop)


def _hash(of_state: str, model: ModelConfig, size: Sequence[int], crop: str) -> str:
    # Where its first weights came from makes no difference to a network any more. Defaults are left out, so that a field which is new one day changes no hash.
    usual = dataclasses.asdict(ModelConfig())
    built = {name: value for name, value in dataclasses.asdict(model).items() if name != "weights" and value != usual[name]}
    return files.sha256_json([of_state, built, list(size), crop])


def _facts_hash(metadata: dict[str, str]) -> str:
    return files.sha256_json({name: text for name, text in metadata.items() if name != "facts"})


def hash_in(path: Path) -> str:
    """``ModelFile.hash`` of a file that is known to be one of ours, by what stands at its beginning; the weights are not read."""
    with files.reading(path), safe_open(path, "pt") as opened:
        metadata = opened.metadata()
    return _hash(metadata["sha256"], ModelConfig(**json.loads(metadata["model"])), json.loads(metadata["size"]), metadata.get("crop", "none"))


_PICKLED = (".pth", ".pt", ".tar", ".ckpt", ".bin")


def read_model(path: Path) -> ModelFile:
    """Reads a ``model.safetensors``. Raises ``UserError`` where it is missing, truncated, altered, or not one of ours."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}", "Give a run folder, a stage folder in it, or a model.safetensors.")
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError) as error:
        if path.suffix.lower() in _PICKLED:
            raise UserError(f"{path} is no checkpoint of ours", f"Weights of other libraries become a run by: {command('adopt', path, '--backbone', 'NAME', '--dataset', 'NAME')}  They may also start a training: train --model.weights FILE.") from None
        raise UserError(f"{path} is not a whole safetensors file ({error})", f"It is truncated or of another kind. {_way_to_another(path)}") from None
    if metadata.get("format") != _FORMAT:
        raise UserError(
            f"{path} holds weights, but not of a model trained here",
            "To start training from them, give train --model.weights FILE.",
        )
    if state_hash(state) != metadata.get("sha256") or _facts_hash(metadata) != metadata.get("facts"):
        raise UserError(f"{path} is damaged: its checksum does not fit", _way_to_another(path))
    try:
        model = ModelConfig(**json.loads(metadata["model"]))
    except TypeError as error:
        raise UserError(f"{path} describes a network that this version does not know ({error})", "Use the version that wrote it.") from None
    crop = metadata.get("crop", "none")
    if crop not in crops.NAMES:
        raise UserError(f"{path} was trained on crops that this version does not know ({crop})", "Use the version that wrote it.")
    size = tuple(json.loads(metadata["size"]))
    return ModelFile(
        state=state,
        model=model,
        size=size,
        labels=np.array(json.loads(metadata["labels"]), dtype=np.int64),
        hash=_hash(metadata["sha256"], model, size, crop),
        crop=crop,
        names=tuple(json.loads(metadata["names"])) if "names" in metadata else None,
    )


def _way_to_another(path: Path) -> str:
    run = run_of(path)
    return f"Copy it again, or delete it and have the stage trained again: {command('train', '--resume', run)}" if run else "Copy it again."


def network_of(file: ModelFile) -> IdentityClassifier:
    """The network with its weights, in eval mode, on the CPU."""
    network = configured(file.model, len(file.labels), file.size, weights="none")
    try:
        network.load_state_dict(file.state)
    except RuntimeError as error:
        raise UserError(f"the weights do not fit a {file.model.backbone}: {str(error).splitlines()[-1].strip()}", "Was the file made by another version?") from None
    return network.eval().to(memory_format=torch.channels_last)
