"""What soft targets are like: how soft they are, how often they agree with the labels, and how far their confidence can be trusted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

FILE = "diagnostics.json"
"""The file beside the soft targets, in the folder of their stage."""

BINS = 15
"""Bins of the calibration error, as in Guo et al. 2017."""
HISTOGRAM = 20
"""Bins of the histograms, from 0 to 1."""

# Rules of thumb, not results: the exact thresholds are a matter of taste.
PREMATURE = 0.7
"""Below this agreement with the labels of the training images, the network has not learnt them."""
ONE_HOT = 0.02
"""Below this share of the largest possible entropy, soft targets say little more than the labels."""
UNIFORM = 0.98
"""Above this share of the largest possible entropy, soft targets give nearly the same probability to all classes."""

Piece = tuple[torch.Tensor, torch.Tensor]
"""Logits ``(B, C)`` and targets int64 ``(B,)`` in 0..C-1."""


# --- reliability -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, in bins of equal width (Guo et al. 2017).

    A confidence on the border of two bins is in the lower one.

    Args:
        counts: int64 ``(BINS,)``, predictions in each bin.
        confidence: their mean confidence, float64 ``(BINS,)``; NaN in an empty bin.
        accuracy: the share of them that is right, in the same form.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean distance of confidence and accuracy over all predictions."""
        some = self.counts > 0
        gaps = np.abs(self.confidence[some] - self.accuracy[some])
        return float((self.counts[some] * gaps).sum() / max(1, self.counts.sum()))


def reliability(confidence: np.ndarray, right: np.ndarray) -> Reliability:
    """Sorts N predictions into bins by their confidence.

    Args:
        confidence: probability of the predicted class, ``(N,)``.
        right: whether it is the label, bool ``(N,)``.
    """
    confidence = np.asarray(confidence, dtype=np.float64)
    edges = np.linspace(0, 1, BINS + 1)
    of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    counts = np.bincount(of, minlength=BINS)
    sums = (np.bincount(of, weights=values, minlength=BINS) for values in (confidence, np.asarray(right, dtype=np.float64)))
    means = [np.divide(total, counts, out=np.full(BINS, np.nan), where=counts > 0) for total in sums]
    return Reliability(counts, *means)


# --- soft targets ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoftTargets:
    """What a network believes about N images of C classes, compared with their labels. All shares and probabilities are 0 to 1.

    Args:
        images: N.
        classes: C.
        temperature: T at which the beliefs are imitated.
        entropy: mean entropy at T, in nats.
        entropy_share: that as a share of log C, the most that is possible.
        agreement: how often the largest belief is the label.
        label: mean probability of the label at T = 1.
        label_softened: the same at T.
        ece: calibration error of the beliefs at T = 1 against the labels.
        entropy_counts: images by their entropy at T as a share of log C, in ``HISTOGRAM`` bins from 0 to 1.
        label_counts: images by the probability of the label at T = 1, in the same bins.
    """

    images: int
    classes: int
    temperature: float
    entropy: float
    entropy_share: float
    agreement: float
    label: float
    label_softened: float
    ece: float
    entropy_counts: tuple[int, ...]
    label_counts: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "entropy_counts": list(self.entropy_counts), "label_counts": list(self.label_counts)}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> SoftTargets:
        """What ``as_json`` wrote."""
        known = {field.name: values[field.name] for field in dataclasses.fields(cls)}
        return cls(**known | {name: tuple(known[name]) for name in ("entropy_counts", "label_counts")})


def describe(pieces: Iterable[Piece], temperature: float) -> SoftTargets:
    """Measures soft targets against the labels.

    Args:
        pieces: the soft targets and labels piece by piece, so that they need not all be held in float32 at once.
        temperature: T > 0 at which the soft targets are imitated.
    """
    columns: list[np.ndarray] = []
    classes = 0
    for logits, targets in pieces:
        classes = logits.shape[1]
        columns.append(_figures(logits.double(), targets.to(logits.device), temperature).cpu().numpy())
    entropy, label, softened, confidence, right = np.concatenate(columns, axis=1)
    most = math.log(classes) if classes > 1 else 1.0
    return SoftTargets(
        images=len(entropy),
        classes=classes,
        temperature=float(temperature),
        entropy=float(entropy.mean()),
        entropy_share=float(entropy.mean() / most),
        agreement=float(right.mean()),
        label=float(label.mean()),
        label_softened=float(softened.mean()),
        ece=reliability(confidence, right > 0).ece,
        entropy_counts=_counts(entropy / most),
        label_counts=_counts(label),
    )


def _figures(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """``(5, B)``: entropy at T; probability of the label at T = 1, and at T; confidence at T = 1; 1 where the prediction is right, else 0."""
    plain, soft = torch.softmax(logits, dim=1), torch.softmax(logits / temperature, dim=1)
    confidence, predicted = plain.max(dim=1)
    of_label = targets[:, None]
    return torch.stack(
        [
            torch.special.entr(soft).sum(dim=1), plain.gather(1, of_label)[:, 0], soft.gather(1, of_label)[:, 0], confidence,
            (predicted == targets).double(),
        ]
    )  # fmt: skip


def _counts(shares: np.ndarray) -> tuple[int, ...]:
    return tuple(np.histogram(shares.clip(0, 1), bins=HISTOGRAM, range=(0, 1))[0].tolist())


@dataclass(frozen=True)
class Agreement:
    """How far two networks agree in what they believe.

    Args:
        images: number of images compared.
        same: how often both give the same class the largest probability.
        overlap: mean of the probability that both give to the same classes (the sum of min(p, q)), at T; 1 where all beliefs are equal.
    """

    images: int
    same: float
    overlap: float


def agreement(one: torch.Tensor, other: torch.Tensor, temperature: float) -> Agreement:
    """Compares what two networks believe about the same images: logits ``(N, C)`` of each; T > 0."""
    both = [torch.softmax(logits.double() / temperature, dim=1) for logits in (one, other.to(one.device))]
    same = (both[0].argmax(dim=1) == both[1].argmax(dim=1)).double().mean()
    return Agreement(len(one), float(same), float(torch.minimum(*both).sum(dim=1).mean()))


# --- in words ----------------------------------------------------------------------------------------------------


Kind = Literal["premature", "almost one-hot", "almost uniform", "soft and mostly right"]


def kind(*, agreement: float, entropy_share: float) -> Kind:
    """Which kind of soft targets these are, by the rules of thumb above."""
    if agreement < PREMATURE:
        return "premature"
    if entropy_share < ONE_HOT:
        return "almost one-hot"
    return "almost uniform" if entropy_share > UNIFORM else "soft and mostly right"


def verdict(found: SoftTargets) -> str:
    """What the figures mean for the stage that imitates these targets."""
    means: dict[Kind, str] = {
        "premature": f": wrong about {_percent(1 - found.agreement)} of the training images, which is imitated, too "
        "(Table 4 of the paper). The network that gives them wants more epochs, or all drops of its rate.",
        "almost one-hot": ", and teach little more than the labels do. A higher --loss.temperature softens them.",
        "almost uniform": ", and hardly tell one class from another. A lower --loss.temperature sharpens them.",
        "soft and mostly right": ", as a reference should be.",
    }
    told = kind(agreement=found.agreement, entropy_share=found.entropy_share)
    return f"They are {told}{means[told]}"


def line(found: SoftTargets) -> str:
    """All figures and the verdict in one line, for the terminal."""
    return (
        f"soft targets: entropy {found.entropy:.2f} nats at T = {found.temperature:g} ({_percent(found.entropy_share)} of the most possible), "
        f"the label first for {_percent(found.agreement)} of the training images, its probability {found.label:.2f} at T = 1 and "
        f"{found.label_softened:.2f} at T, calibration error {_percent(found.ece)}. {verdict(found)}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
