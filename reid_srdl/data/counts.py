"""How many images and people a data set has, compared with what its publisher says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .records import DISTRACTOR, JUNK, ClassData, ReIDData
from .telling import warn

UNLIKE_PUBLISHED = "Scores on it cannot be set beside published ones."


def counts_of(data: ReIDData | ClassData) -> dict[str, int]:
    """Counts of images and of identities or classes, by the names that the readers' ``OFFICIAL`` counts use."""
    if isinstance(data, ClassData):
        return {"training images": len(data.train), "test images": len(data.test), "validation images": len(data.test), "classes": len(data.class_names)}
    return {
        "training images": len(data.train),
        "training identities": len(data.train.identities),
        "query images": len(data.query),
        "query identities": len(data.query.identities),
        "gallery images": len(data.gallery),
        "gallery identities": len(data.gallery.identities),
        "gallery images that are junk": int((data.gallery.labels == JUNK).sum()),
        "gallery images that are distractors": int((data.gallery.labels == DISTRACTOR).sum()),
    }


def compare_counts(data: ReIDData | ClassData, folder: Path, official: Mapping[str, int], remark: str = UNLIKE_PUBLISHED, more: Mapping[str, int] | None = None) -> None:
    """Warns, in one line, where counts are not the official ones; ``more`` holds further counts of the data that the splits do not show."""
    found = {**counts_of(data), **(more or {})}
    differing = [f"{what} {found[what]:,} (official: {count:,})" for what, count in official.items() if found[what] != count]
    if differing:
        warn(f"{data.name} in {folder} is not the whole official set: {', '.join(differing)}. {remark}")
