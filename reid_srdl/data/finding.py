"""A finding of the data doctor, and how its sentences are put together.

``stop``: training or scoring would be wrong; ``warn``: worth a look; ``note``: good to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .records import Split

SEVERITIES = ("stop", "warn", "note")


@dataclass(frozen=True)
class Finding:
    """One thing the doctor found.

    Args:
        severity: ``stop``, ``warn`` or ``note``.
        what: the finding, in a sentence.
        do: what to do about it.
        images: the images it is about, where there are such; paths relative to the data set.
    """

    severity: Literal["stop", "warn", "note"]
    what: str
    do: str = ""
    images: tuple[str, ...] = ()


def label_words(split: Split, labels: np.ndarray) -> str:
    """The first three labels, in the data set's own words."""
    words = [str(label) if split.label_names is None else split.label_names[label - 1] for label in labels[:3].tolist()]
    return ", ".join(words) + (", …" if len(labels) > 3 else "")


def number(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"


def by_share(count: int, of: int) -> Literal["warn", "note"]:
    """The severity of ``count`` cases ``of`` so many: ``warn`` if more than a tenth, else ``note``."""
    return "warn" if count > of / 10 else "note"


def all_paths(splits: Sequence[Split]) -> np.ndarray:
    """The paths of all splits, one after the other."""
    return np.array([path for split in splits for path in split.paths], dtype=object)
