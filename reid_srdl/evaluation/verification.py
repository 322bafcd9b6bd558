"""Do two images show the same identity? Genuine and impostor pairs, their distances, and how well a threshold tells them apart.

Pairs share images and identities and are not independent, so intervals come from drawing whole identities again (bootstrap).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.records import DISTRACTOR
from ..embeddings import Embeddings
from ..errors import UserError
from .flat_index import unit_length
from .scored import Track
from .tiles import Metric, check_lengths, check_metric

FALSE_POSITIVE_RATES = (1e-1, 1e-2, 1e-3, 1e-4)
FEWEST = 10
"""Pairs that a figure needs at least: impostors accepted at a false positive rate, or pairs of either kind between two cameras."""
MOST_IMAGES = 2500
_FEWEST_IMAGES = 4
_ROC_POINTS = 400
_BINS = 80


@dataclass(frozen=True, eq=False)
class Pairs:
    """P pairs of images by ascending distance.

    Args:
        distances: float32 ``(P,)``: squared Euclidean as in faiss, or 1 - cosine.
        genuine: bool ``(P,)``, whether both images are of one identity.
        identities: int64 ``(P, 2)``, counted from 0.
        cameras: int64 ``(P, 2)``, ascending in a pair; None where they are not known.
    """

    distances: np.ndarray
    genuine: np.ndarray
    identities: np.ndarray
    cameras: np.ndarray | None

    def __len__(self) -> int:
        return len(self.distances)

    def take(self, rows: np.ndarray) -> Pairs:
        """Some of the pairs, by a mask or by ascending row."""
        return Pairs(self.distances[rows], self.genuine[rows], self.identities[rows], None if self.cameras is None else self.cameras[rows])


def pairs_of(images: Embeddings, *, metric: Metric = "euclidean", across_cameras: bool | None = None, most_images: int = MOST_IMAGES, seed: int = 0) -> Pairs:
    """All pairs of images of known people.

    Args:
        images: N embeddings with labels; junk and distractors are left out.
        metric: ``euclidean`` or ``cosine``.
        across_cameras: only pairs from two cameras, since neighbouring frames of one camera are nearer than images of a person who comes
            back. By default so where there are several cameras.
        most_images: of larger sets, at most so many are drawn: four or more of a person (if there are), of as many people as fit.
        seed: of that draw.

    Raises:
        UserError: there is no such metric, no labels, vectors too long for distances in float32, fewer than two people, no genuine or no impostor pairs.
    """
    check_metric(metric)
    if images.labels is None:
        raise UserError("the vectors have no labels", "Calibration needs to know who is who: save them with the column labels.")
    several = images.cameras is not None and len(np.unique(images.cameras)) > 1
    across = several if across_cameras is None else across_cameras
    if across and not several:
        raise UserError("all images are of one camera", "Leave the pairs of one camera in: --across_cameras false.")
    images = images.take(_drawn(images, most_images, seed))
    check_lengths(images.vectors, "pair's")
    vectors = images.vectors if metric == "euclidean" else unit_length(images.vectors)
    first, second = np.triu_indices(len(vectors), k=1)
    if across:
        apart = images.cameras[first] != images.cameras[second]
        first, second = first[apart], second[apart]
    distances = _distances(vectors, first, second, metric)
    order = np.argsort(distances, kind="stable")
    first, second = first[order], second[order]
    _, identity = np.unique(images.labels, return_inverse=True)
    identities = np.column_stack([identity[first], identity[second]])
    cameras = None if images.cameras is None else np.sort(np.column_stack([images.cameras[first], images.cameras[second]]), axis=1)
    found = Pairs(distances[order], identities[:, 0] == identities[:, 1], identities, cameras)
    for kind, count in (("genuine", found.genuine.sum()), ("impostor", (~found.genuine).sum())):
        if not count:
            raise UserError(f"there are no {kind} pairs{' across cameras' if across else ''}", f"Calibration needs several images each of several people{'; where a camera sees each person alone, give --across_cameras false' if across else ''}.")
    return found


def _drawn(images: Embeddings, most: int, seed: int) -> np.ndarray:
    """Rows of images of known people, ascending: all if they fit, else those of people in random order, with few images of many people rather than many of few.

    A person's images are drawn from the cameras in turn.
    """
    labels = images.labels
    known = np.flatnonzero(labels > DISTRACTOR)
    if len(known) <= most:
        return known
    rng = np.random.default_rng(seed)
    people = rng.permutation(np.unique(labels[labels > DISTRACTOR]))
    each = max(_FEWEST_IMAGES, most // max(1, len(people)))
    chosen: list[np.ndarray] = []
    for label in people:
        rows = rng.permutation(np.flatnonzero(labels == label))
        if images.cameras is not None:
            _, camera = np.unique(images.cameras[rows], return_inverse=True)
            turn = np.array([(camera[:place] == camera[place]).sum() for place in range(len(rows))])
            rows = rows[np.argsort(turn, kind="stable")]
        if len(chosen) >= 2 and sum(map(len, chosen)) + min(each, len(rows)) > most:
            break
        chosen.append(rows[:each])
    return np.sort(np.concatenate([np.empty(0, np.int64), *chosen]))


def _distances(vectors: np.ndarray, first: np.ndarray, second: np.ndarray, metric: Metric) -> np.ndarray:
    products = vectors @ vectors.T
    if metric == "cosine":
        return np.maximum(1 - products[first, second], 0).astype(np.float32)  # of equal vectors the product may be a little above 1
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    return np.maximum(lengths[first] + lengths[second] - 2 * products[first, second], 0).astype(np.float32)


# --- how well a threshold tells them apart ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Roc:
    """False and true positive rates when pairs up to a threshold are accepted, for every distance that occurs: ``thresholds``, ``fpr`` and ``tpr`` ascend together."""

    thresholds: np.ndarray
    fpr: np.ndarray
    tpr: np.ndarray

    @staticmethod
    def of(pairs: Pairs, weights: np.ndarray | None = None) -> Roc:
        """From pairs, each counted as often as its weight says."""
        last = np.append(pairs.distances[1:] != pairs.distances[:-1], True)  # the last of equal distances
        counted = np.ones(len(pairs)) if weights is None else weights
        genuine, impostor = (np.cumsum(np.where(of, counted, 0), dtype=np.float64)[last] for of in (pairs.genuine, ~pairs.genuine))
        return Roc(pairs.distances[last], impostor / max(impostor[-1], 1e-12), genuine / max(genuine[-1], 1e-12))

    def equal_error(self) -> tuple[float, float]:
        """The equal error rate, at which the share of genuine pairs refused is that of impostors accepted, and its threshold (interpolated)."""
        gap = np.append(-1.0, self.fpr - (1 - self.tpr))
        right = int(np.argmax(gap >= 0))
        before = (0.0, float(self.thresholds[0])) if right == 1 else (float(self.fpr[right - 2]), float(self.thresholds[right - 2]))
        share = -gap[right - 1] / (gap[right] - gap[right - 1])
        return tuple(float(low + share * (high - low)) for low, high in zip(before, (self.fpr[right - 1], self.thresholds[right - 1]), strict=True))

    def tpr_at(self, rate: float) -> float:
        """The share of genuine pairs accepted by the widest threshold that accepts at most ``rate`` of the impostors."""
        allowed = np.flatnonzero(self.fpr <= rate)
        return float(self.tpr[allowed[-1]]) if len(allowed) else 0.0


def facts_of(pairs: Pairs, *, draws: int = 200, seed: int = 0, track: Track = iter) -> dict[str, Any]:
    """What a report shows: EER and TPR at fixed FPRs with 95% intervals over identities, by camera pair, ROC and histogram points.

    Args:
        pairs: genuine and impostor pairs.
        draws: bootstrap draws of identities.
        seed: of them.
        track: wraps the draws, for a progress bar.
    """
    roc = Roc.of(pairs)
    rate, threshold = roc.equal_error()
    impostors = int((~pairs.genuine).sum())
    rates = [one for one in FALSE_POSITIVE_RATES if impostors * one >= FEWEST]
    drawn = _bootstrap(pairs, rates, track(range(draws)), seed)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    tpr = {f"{one:g}": {"tpr": roc.tpr_at(one), "low": float(low[1 + n]), "high": float(high[1 + n])} for n, one in enumerate(rates)}
    return {
        "eer": rate,
        "eer_low": float(low[0]),
        "eer_high": float(high[0]),
        "eer_threshold": threshold,
        "pairs": {"genuine": int(pairs.genuine.sum()), "impostor": impostors, "identities": len(np.unique(pairs.identities))},
        "tpr_at_fpr": {f"{one:g}": tpr.get(f"{one:g}") for one in FALSE_POSITIVE_RATES},
        "camera_pairs": _by_cameras(pairs),
        "roc": _thinned(roc),
        "histogram": _histogram(pairs),
    }


def _bootstrap(pairs: Pairs, rates: list[float], draws: Iterable[int], seed: int) -> np.ndarray:
    """EER and TPRs of each draw of identities with replacement: ``(draws, 1 + rates)``."""
    count = int(pairs.identities.max()) + 1
    rng = np.random.default_rng(seed)
    rows = []
    for _ in draws:
        times = np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float32)
        # A genuine pair counts as often as its identity was drawn, an impostor pair as often as its two identities were, multiplied.
        weights = times[pairs.identities[:, 0]] * np.where(pairs.genuine, 1, times[pairs.identities[:, 1]])
        if not (weights[pairs.genuine].any() and weights[~pairs.genuine].any()):
            continue
        roc = Roc.of(pairs, weights)
        rows.append([roc.equal_error()[0], *(roc.tpr_at(rate) for rate in rates)])
    return np.array(rows)


def _by_cameras(pairs: Pairs) -> list[dict[str, Any]]:
    if pairs.cameras is None:
        return []
    found, group = np.unique(pairs.cameras, axis=0, return_inverse=True)
    table = []
    for number, cameras in enumerate(found.tolist()):
        some = pairs.take(np.flatnonzero(group.reshape(-1) == number))
        genuine, impostor = int(some.genuine.sum()), int((~some.genuine).sum())
        enough = min(genuine, impostor) >= FEWEST
        table.append({"cameras": cameras, "genuine": genuine, "impostor": impostor, "eer": Roc.of(some).equal_error()[0] if enough else None})
    return table


def _thinned(roc: Roc) -> dict[str, list[float]]:
    """Points of the curve, dense where the FPR is small."""
    wanted = np.concatenate([np.geomspace(1e-5, 1, _ROC_POINTS // 2), np.linspace(0, 1, _ROC_POINTS // 2)])
    rows = np.unique(np.clip(np.searchsorted(roc.fpr, wanted, side="right") - 1, 0, len(roc.fpr) - 1))
    return {"fpr": roc.fpr[rows].tolist(), "tpr": roc.tpr[rows].tolist()}


def _histogram(pairs: Pairs) -> dict[str, list[float]]:
    edges = np.linspace(0, float(pairs.distances.max()) or 1.0, _BINS + 1)
    counts = {name: np.histogram(pairs.distances[of], edges)[0].tolist() for name, of in (("genuine", pairs.genuine), ("impostor", ~pairs.genuine))}
    return {"edges": edges.tolist(), **counts}
