"""Market-1501 with its 500,000 distractors in the gallery (Zheng et al. 2015, Section 3)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from ..errors import UserError
from .market1501 import read_market1501, read_split
from .records import DISTRACTOR, JUNK, ReIDData, Split
from .telling import warn
from .unpacking import can_write, unpack_to, unzip

FOLDER = "images"
ARCHIVE = "distractors_500k.zip"
PUBLISHED = 500_000
"""Distractors; the publishers say "over 500,000"."""


def read_market1501_500k(root: Path) -> ReIDData:
    """Market-1501, and the images of its folder ``images`` as distractors (label 0) of its gallery.

    Their names are like the others of the set, and their cameras the same six; -1 in a name means junk here too. This is as in torchreid
    (``market1501_500k``).

    Raises:
        UserError: the set or its distractors are not there.
    """
    data = read_market1501(root)
    folder = _distractors(Path(root), data.train.root)
    extra = read_split(folder, FOLDER, "gallery")
    extra = dataclasses.replace(extra, labels=np.where(extra.labels == JUNK, JUNK, DISTRACTOR))
    count = int((extra.labels == DISTRACTOR).sum())
    if count < PUBLISHED:
        warn(
            f"market1501_500k in {folder / FOLDER} is not the whole official set: {count:,} distractors (official: more than {PUBLISHED:,}). Scores on it "
            "cannot be set beside published ones."
        )
    return dataclasses.replace(data, name="market1501_500k", gallery=_together(data.gallery, extra))


def _together(gallery: Split, extra: Split) -> Split:
    # "bounding_box_test" sorts before "images", so the rows that the ground truth counts stay first.
    return dataclasses.replace(
        gallery,
        paths=gallery.paths + extra.paths,
        labels=np.concatenate([gallery.labels, extra.labels]),
        cameras=np.concatenate([gallery.cameras, extra.cameras]),
    )


def _distractors(root: Path, folder: Path) -> Path:
    """The folder of Market-1501 that has ``images`` in it; they are unpacked into it where there is only their archive."""
    if (folder / FOLDER).is_dir():
        return folder
    archive = next((place / ARCHIVE for place in (folder, folder.parent, root) if (place / ARCHIVE).is_file()), None)
    if archive is not None and can_write(folder):
        unpack_to(folder / FOLDER, archive, unzip(archive), "Free some space there, or unpack it yourself where there is room, with a link to it.")
        return folder
    raise UserError(
        f"the distractors of Market-1501 are not in {folder}" if archive is None else f"{archive} cannot be unpacked, since {folder} is read-only",
        f"Get {ARCHIVE} (\"Market-1501+500k\") from https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html and unpack it, so that {folder / FOLDER} holds the images.",
    )
