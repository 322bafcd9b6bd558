"""From a trained network and a classification set to ``metrics.json``: right answers, loss, and whether confidence can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.special import log_softmax

from .. import __version__, files, inference
from ..data.records import ClassData, Split
from ..devices import ALONE, Place
from ..diagnostics import BINS, Reliability, reliability
from ..errors import UserError
from ..runs import METRICS, Trained, check_same_classes
from . import predictions
from .predictions import Predictions
from .scored import Track, forget

_BLOCK = 1 << 22
"""Float64 numbers (images times classes) in memory at a time."""

COLUMNS = {"top1": "top-1", "top5": "top-5", "loss": "loss", "ece": "ECE"}


def telling(classes: int | None) -> list[str]:
    """The scores of ``COLUMNS`` that tell something: with 5 classes or fewer, top-5 is always 1."""
    return [name for name in COLUMNS if name != "top5" or classes is None or classes > 5]


@dataclass(frozen=True, eq=False)
class ClassResult:
    """Scores of N predictions.

    Args:
        top1: the share whose most probable class is the label.
        top5: the share whose label is among the 5 most probable classes (among all, where there are fewer).
        loss: mean cross-entropy, in nats.
        reliability: confidence beside accuracy.
        predicted: the most probable class, int64 ``(N,)`` in 0..C-1.
        confidence: its probability, ``(N,)``.
        of_label: probability of the label, ``(N,)``.
    """

    top1: float
    top5: float
    loss: float
    reliability: Reliability
    predicted: np.ndarray
    confidence: np.ndarray
    of_label: np.ndarray

    @property
    def ece(self) -> float:
        return self.reliability.ece

    def scores(self) -> dict[str, float]:
        """The scores under their names in ``metrics.json``."""
        return {name: getattr(self, name) for name in COLUMNS}


def classify(logits: np.ndarray, targets: np.ndarray) -> ClassResult:
    """Scores logits float ``(N, C)`` by targets int64 ``(N,)`` in 0..C-1. Of equal logits the lower class comes first.

    Raises:
        UserError: a row that is not finite.
    """
    logits, targets = np.asarray(logits), np.asarray(targets, dtype=np.int64)
    if len(logits) != len(targets) or not len(logits):
        raise ValueError(f"{len(logits)} rows of logits, {len(targets)} targets")
    step = max(1, _BLOCK // logits.shape[1])
    parts = [_of_block(logits[start : start + step], targets[start : start + step], start) for start in range(0, len(logits), step)]
    before, loss, predicted, confidence, of_label = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ClassResult(
        top1=float((before < 1).mean()),
        top5=float((before < 5).mean()),
        loss=float(loss.mean()),
        reliability=reliability(confidence, predicted == targets),
        predicted=predicted,
        confidence=confidence,
        of_label=of_label,
    )


def _of_block(logits: np.ndarray, targets: np.ndarray, start: int) -> tuple[np.ndarray, ...]:
    """For each row: how many classes come before the label, loss, predicted class, its probability and that of the label."""
    if not np.isfinite(logits).all():
        row = start + int(np.argmin(np.isfinite(logits).all(axis=1)))
        raise UserError(f"what the network says of image {row} is not finite", "Its training has come apart: lower --optimiser.rate.")
    own = np.take_along_axis(logits, targets[:, None], axis=1)
    earlier = np.arange(logits.shape[1])[None, :] < targets[:, None]
    before = (logits > own).sum(axis=1) + ((logits == own) & earlier).sum(axis=1)
    logs = log_softmax(logits.astype(np.float64), axis=1)
    of_label = np.take_along_axis(logs, targets[:, None], axis=1)[:, 0]
    return before, -of_label, logits.argmax(axis=1), np.exp(logs.max(axis=1)), np.exp(of_label)


def together(members: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of several networks' probabilities, as logits: from ``(N, C)`` each to float32 ``(N, C)``."""
    logs = (log_softmax(member.astype(np.float64), axis=1) for member in members)
    total = next(logs)
    for each in logs:
        total = np.logaddexp(total, each)
    return (total - np.log(len(members))).astype(np.float32)


# --- a network on a data set --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """What an evaluation found.

    Args:
        metrics: the contents of ``metrics.json``.
        results: what is behind the scores, under ``classification`` and ``ensemble``.
        predictions: what the network said of each image.
        place: which of how many processes this is; all have the same results.
    """

    metrics: dict[str, Any]
    results: dict[str, ClassResult]
    predictions: Predictions
    place: Place = ALONE

    def table(self) -> list[tuple[str, ...]]:
        """As ``Scored`` has it."""
        names = telling(self.metrics["protocol"]["classes"])
        rows = [("", *(COLUMNS[key] for key in names))]
        for name, result in self.results.items():
            scores = result.scores()
            shown = (f"{scores[key]:.3f}" if key == "loss" else f"{100 * scores[key]:.2f}" for key in names)
            rows.append(({"classification": "network"}.get(name, name), *shown))
        return rows

    def remarks(self) -> list[str]:
        """As ``Scored`` has it."""
        stamp = self.metrics["protocol"]
        return [f"{stamp['images']:,} {stamp['split']} images of {stamp['classes']:,} classes."]

    def save(self, folder: Path, *, details: bool = True) -> None:
        """Writes ``metrics.json`` and, with ``details``, the ``predictions.npz`` that it is computed from; of several processes only the first writes."""
        if self.place.rank:
            return
        forget(folder)
        # The scores are written last, so that where they exist, so does what they are of.
        if details:
            predictions.save(self.predictions, folder / predictions.FILE)
        else:
            (folder / predictions.FILE).unlink(missing_ok=True)
        files.write_json(folder / METRICS, self.metrics)


def evaluate(
    trained: Trained,
    data: ClassData,
    *,
    split: Literal["test", "val"] = "test",
    flip: bool = False,
    ensemble: Sequence[Trained] = (),
    tracks: Callable[[str], Track] = lambda title: iter,
) -> ClassEvaluation:
    """Classifies a split and scores it.

    Args:
        trained: the network.
        data: with the labels that it was trained on.
        split: ``test`` or ``val``.
        flip: average the probabilities of an image and its mirror.
        ensemble: further networks; the mean of all their probabilities is scored as ``ensemble`` (Table 6).
        tracks: from a title to what wraps an iteration, for progress bars.

    Raises:
        UserError: no such split, or networks that know other labels than the data set has.
    """
    part = split_of(data, split)
    for network in (trained, *ensemble):
        check_labels(network, data)
    targets = targets_of(part, trained.labels)
    said = [beliefs(trained, part, flip=flip, track=tracks(f"classifying {part.name}"))]
    results = {"classification": classify(said[0], targets)}
    stamp = {
        "dataset": data.name,
        "split": split,
        "images": len(part),
        "classes": len(trained.labels),
        "crop": trained.crop,
        "flip": flip,
        **({"top5": "the label is among the 5 most probable classes"} if "top5" in telling(len(trained.labels)) else {}),
        "ece": f"{BINS} bins of equal width",
        "checkpoint": trained.model_hash,
    }
    if ensemble:
        for number, network in enumerate(ensemble, 2):
            said.append(beliefs(network, part, flip=flip, track=tracks(f"classifying {part.name} with network {number}")))
        results["ensemble"] = classify(together(said), targets)
        stamp["ensemble"] = {
            "probabilities": "mean",
            "checkpoints": [network.model_hash for network in (trained, *ensemble)],
            "passes_per_image": len(said) * (1 + flip),
        }
    stamp["version"] = __version__
    metrics = {"protocol": stamp, **{name: result.scores() for name, result in results.items()}}
    return ClassEvaluation(metrics, results, _predictions(results["classification"], data, part, trained.labels), trained.place)


def beliefs(trained: Trained, split: Split, *, flip: bool = False, track: Track = iter) -> np.ndarray:
    """Logits float32 ``(N, C)`` of a split; with ``flip`` their softmax is the mean of those of the image and its mirror."""
    source = trained.source(split.files)
    return inference.logits(trained.network, source, size=trained.size, place=trained.place, flip_at=1.0 if flip else None, track=track)


def split_of(data: ClassData, split: str) -> Split:
    """``test`` or ``val``. Raises ``UserError`` where there is no such split."""
    chosen = data.test if split == "test" else data.val
    if chosen is None:
        raise UserError(f"{data.name} has no held-out images", "Score the test split, or train with --data.holdout_per_class N.")
    return chosen


def classes_of(data: ClassData) -> np.ndarray:
    """All labels, ascending: int64 ``(C,)``."""
    return np.unique(data.train.labels)


def check_labels(trained: Trained, data: ClassData) -> None:
    """Raises ``UserError`` unless the network was trained on the classes that the data set has."""
    there = classes_of(data)
    check_same_classes(
        f"the network {trained.model_hash[:12]}", (trained.labels, trained.names), data.name, (there, data.names_of(there)), "Score it on the data set that it was trained on."
    )


def targets_of(split: Split, labels: np.ndarray) -> np.ndarray:
    """int64 ``(N,)``: the row in ``labels`` (ascending) of each image's label. Raises ``UserError`` for a label that is not among them."""
    known = np.isin(split.labels, labels)
    if not known.all():
        row = int(np.argmin(known))
        raise UserError(
            f"{split.root / split.paths[row]} is of the class {split.labels[row]}, of which no training image is",
            "Training and test images must be of the same classes.",
        )
    return np.searchsorted(labels, split.labels).astype(np.int64)


def _predictions(result: ClassResult, data: ClassData, split: Split, labels: np.ndarray) -> Predictions:
    return Predictions(
        paths=split.paths,
        labels=split.labels,
        predicted=labels[result.predicted],
        confidence=result.confidence.astype(np.float32),
        of_label=result.of_label.astype(np.float32),
        classes=labels,
        names=data.names_of(labels) or tuple(map(str, labels.tolist())),
    )
