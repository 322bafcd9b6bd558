"""Soft targets (Eq. 5): what a trained network believes of every training image, written down once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised

from .. import inference
from ..config import AugmentConfig, ReferenceConfig
from ..data.augment import Augment
from ..data.images import ImageSource
from ..data.records import Split
from ..devices import Place
from ..errors import UserError
from ..files import canonical_safetensors, sha256_json, write_bytes
from ..models import IdentityClassifier
from ..models.modes import evaluating
from ..runs import state_hash
from ..seeds import derive, generator

ABSENT = -65504.0
"""Logit of the classes that ``top_k`` left out: the lowest float16, so their probability is zero."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Logits of every training image, in the order of the training split.

    Args:
        logits: float16 ``(N, C)`` or, of the k largest classes only, ``(N, k)``; each row is shifted so that its largest is 0.
        classes: the classes of these logits, int64 ``(N, k)``; None where all are kept.
        num_classes: C.
        split_hash: hash of the list of training images (``Split.hash``).
        how: how it was made, and by which network; a stored reference with another ``how`` is made anew.
    """

    logits: torch.Tensor
    classes: torch.Tensor | None
    num_classes: int
    split_hash: str
    how: str

    def __post_init__(self) -> None:
        if not torch.isfinite(self.logits).all():
            rows = (~torch.isfinite(self.logits).all(dim=1)).nonzero().flatten()
            raise UserError(f"the soft targets of {len(rows)} training images are not finite, the first in row {int(rows[0])}", "Lower the learning rate of the first stage.")

    def __len__(self) -> int:
        return len(self.logits)

    def check(self, split_hash: str, num_classes: int, file: Path | str = "the file") -> None:
        """Raises ``UserError`` unless these are the soft targets of this list of images; ``file`` is where they come from."""
        if self.split_hash != split_hash:
            raise UserError("these soft targets belong to another list of training images", f"Delete {file}, so that they are made anew.")
        if self.num_classes != num_classes:
            raise UserError(
                f"these soft targets speak of {self.num_classes} classes, the training set has {num_classes}",
                "The reference must have been trained on the same label set.",
            )

    def to(self, device: torch.device) -> Reference:
        classes = None if self.classes is None else self.classes.to(device)
        return Reference(self.logits.to(device), classes, self.num_classes, self.split_hash, self.how)

    def rows(self, indices: torch.Tensor) -> torch.Tensor:
        """Logits float32 ``(B, C)`` of the images at ``indices`` int64 ``(B,)`` of the training split."""
        indices = indices.to(self.logits.device)
        picked = self.logits[indices].float()
        if self.classes is None:
            return picked
        full = picked.new_full((len(indices), self.num_classes), ABSENT)
        return full.scatter_(1, self.classes[indices], picked)


def make(
    model: IdentityClassifier,
    source: ImageSource,
    split: Split,
    targets: np.ndarray,
    *,
    how: ReferenceConfig,
    temperature: float,
    size: tuple[int, int],
    place: Place,
    seed: int,
    described: str,
    augment: AugmentConfig,
    track: inference.Track = iter,
) -> Reference | None:
    """Soft targets by a pass over the training images (eval mode, in order, no augmentation), and one more for each further view.

    Each of several processes makes those of its share of the images, and the first one collects them.

    Args:
        model: the network whose beliefs are written down.
        source: its N images, in the order of ``split``.
        split: the training split.
        targets: int64 ``(N,)`` in 0..C-1; only the shuffled control needs them.
        how: views, top-k, shuffling.
        temperature: at which several views, or an image and its mirror, are averaged.
        size: (height, width) of the network.
        place: device, precision, share.
        seed: of the run, for the shuffled control and for augmented views.
        described: what determines the result, as ``Reference.how``.
        augment: of further views.
        track: for a progress bar.

    Returns:
        The soft targets of all images; in all processes but the first, None.
    """

    def beliefs(view: inference.View | None = None) -> np.ndarray:
        return inference.logits(model, source, size=size, place=place, flip_at=temperature if how.flip else None, track=track, view=view, own=True)

    values = beliefs()
    if how.views > 1:
        values = averaged([values, *(beliefs(augmented(augment, size, seed, view)) for view in range(1, how.views))], temperature)
    num_classes = values.shape[1]
    if how.shuffle:
        # One draw for all rows, so that it does not depend on how they are shared among processes.
        values = shuffled(np.concatenate(place.gathered(values)), targets, seed)[slice(*inference.own_rows(len(source), place))]
    kept, classes = torch.from_numpy(values), None
    if how.top_k is not None and how.top_k < num_classes:
        kept, classes = kept.topk(how.top_k, dim=1)
    parts = place.handed_to_first((_written_down(kept), classes))
    if parts is None:
        return None
    return Reference(torch.cat([part for part, _ in parts]), None if classes is None else torch.cat([part for _, part in parts]), num_classes, split.hash(), described)


def augmented(config: AugmentConfig, size: tuple[int, int], seed: int, number: int) -> inference.View:
    """A view of images augmented as in training. Each view has its own draw for each batch, whatever the number of processes."""
    augment = Augment(config, size)
    return lambda images, first: augment(images, augment.draw(len(images), generator(seed, "view", number, first)))


def averaged(views: Sequence[np.ndarray], temperature: float) -> np.ndarray:
    """Logits ``(N, C)`` whose softmax at ``temperature`` is the mean of those of all views."""
    sure = torch.stack([torch.log_softmax(torch.from_numpy(values) / temperature, dim=1) for values in views])
    return (temperature * (torch.logsumexp(sure, dim=0) - math.log(len(views)))).numpy()


def _written_down(logits: torch.Tensor) -> torch.Tensor:
    """As float16, each row shifted so that its largest is 0, which changes no softmax."""
    return (logits - logits.max(dim=1, keepdim=True).values).clamp(min=ABSENT).half()


def soft_targets(network: torch.nn.Module, batches: Iterable[torch.Tensor]) -> torch.Tensor:
    """Eq. 5 for a training loop of one's own: what any network believes of images, as logits float16 ``(N, C)``.

    Args:
        network: from images to logits ``(B, C)``, or to an object with ``logits``; put into eval mode for the pass, and back afterwards.
        batches: the training images in a fixed order, without augmentation, on the network's device.

    Raises:
        UserError: no images, batches that hold more than images, outputs that are not logits, or logits that are not finite.
    """
    pieces: list[torch.Tensor] = []
    with evaluating(network), torch.no_grad():
        for images in batches:
            if not isinstance(images, torch.Tensor):
                raise UserError(f"a batch is of type {type(images).__name__}, not a tensor of images", "Hand in the images alone: (images for images, _ in loader).")
            found = network(images)
            logits = getattr(found, "logits", found)
            if not isinstance(logits, torch.Tensor) or logits.shape != (len(images), *logits.shape[-1:]):
                raise UserError(f"the network answers with {_shape(logits)} where {len(images)} images want logits ({len(images)}, C)", "Hand in what comes before the softmax alone.")
            if not torch.isfinite(logits).all():
                row = sum(map(len, pieces)) + int(torch.isfinite(logits).all(dim=1).logical_not().nonzero()[0])
                raise UserError(f"the logits of image {row} are not finite", "The first stage has diverged: lower its rate.")
            pieces.append(_written_down(logits.float()))
    if not pieces:
        raise UserError("there are no images to write soft targets down of", "batches yields none; an iterator can be passed over once.")
    return torch.cat(pieces)


def _shape(found: object) -> str:
    return f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"


def shuffled(logits: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    """The logits of the wrong classes shuffled within each row; that of the right class stays.

    Rows keep their entropy and the probability of their label, but no longer say which people resemble each other.
    """
    rng = np.random.default_rng(derive(seed, "shuffle"))
    rows, classes = logits.shape
    wrong = np.arange(classes)[None, :] != np.asarray(targets)[:, None]
    values = logits[wrong].reshape(rows, classes - 1)
    mixed = logits.copy()
    mixed[wrong] = rng.permuted(values, axis=1).reshape(-1)
    return mixed


def save(reference: Reference, path: Path) -> None:
    tensors = {"logits": reference.logits.cpu().contiguous()}
    if reference.classes is not None:
        tensors["classes"] = reference.classes.cpu().contiguous()
    metadata = {"num_classes": str(reference.num_classes), "split_hash": reference.split_hash, "how": reference.how}
    metadata["sha256"] = _checksum(tensors, metadata)
    write_bytes(path, canonical_safetensors(serialised(tensors, metadata=metadata)))


def _checksum(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    return sha256_json([state_hash(tensors), {name: text for name, text in metadata.items() if name != "sha256"}])


def load(path: Path) -> Reference:
    """Reads what ``save`` wrote. Raises ``UserError`` where the file is missing, truncated, altered, or no reference."""
    way_out = "Delete the file, so that they are made anew."
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 (it is no dictionary)
        if metadata.get("sha256") != _checksum(tensors, metadata):
            raise UserError(f"the soft targets in {path} are damaged: their checksum does not fit", way_out)
        return Reference(tensors["logits"], tensors.get("classes"), int(metadata["num_classes"]), metadata["split_hash"], metadata["how"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise UserError(f"the soft targets in {path} cannot be read ({error})", way_out) from None


def description(how: ReferenceConfig, temperature: float, model_hash: str, seed: int, augment: AugmentConfig) -> str:
    """What a reference depends on beside the images, as JSON (``Reference.how``)."""
    facts = {"model": model_hash, **asdict(how)}
    facts.pop("weights")  # the model's hash says which
    if how.views > 1:
        facts["augment"] = asdict(augment)
    if how.flip or how.views > 1:
        facts["temperature"] = temperature
    if how.shuffle or how.views > 1:
        facts["seed"] = seed
    return json.dumps(facts, sort_keys=True)
