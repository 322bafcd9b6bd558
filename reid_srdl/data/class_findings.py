"""What the data doctor finds in the labels of a classification set."""

from __future__ import annotations

import numpy as np

from .finding import Finding, by_share, number
from .records import ClassData, Split

UNEVEN = 10
"""Size of the largest class over that of the smallest, above which the small ones are likely to be neglected."""


def class_findings(data: ClassData) -> list[Finding]:
    """Findings from the labels alone."""
    counts = np.bincount(data.train.labels, minlength=len(data.class_names))
    what = f"{number(len(data.class_names), 'class', 'classes')}, with {_spread(counts)} to train on and {_spread(_counts(data, data.test))} to test on"
    if data.val is not None:
        what += f", and {_spread(_counts(data, data.val))} in val"
    findings = [Finding("note", what)]
    single = np.flatnonzero(counts == 1)
    if len(single):
        findings.append(
            Finding(
                by_share(len(single), len(counts)),
                f"{number(len(single), 'class has', 'classes have')} one training image only ({_names(data, single)})",
                "Nothing can be learnt of what stays the same about them: add images, or leave them out.",
            )
        )
    if counts.max() > UNEVEN * counts.min() > 0:
        few, many = int(counts.argmin()), int(counts.argmax())
        findings.append(
            Finding(
                "warn",
                f"classes are of very different sizes: {data.class_names[many]} has {counts[many]:,} training images, {data.class_names[few]} {counts[few]:,}",
                "The network will favour the large ones: add images to the small ones, or take the same number of each (--data.train_per_class).",
            )
        )
    return findings


def _counts(data: ClassData, split: Split) -> np.ndarray:
    return np.bincount(split.labels, minlength=len(data.class_names))


def _spread(counts: np.ndarray) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{number(low, 'image', 'images')} each" if low == high else f"{low:,} to {high:,} images each"


def _names(data: ClassData, labels: np.ndarray) -> str:
    return ", ".join(data.class_names[label] for label in labels[:3].tolist()) + (", …" if len(labels) > 3 else "")
