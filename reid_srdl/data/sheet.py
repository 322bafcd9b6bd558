"""A contact sheet of a data set: some people of each split, with several images each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..pictures import contact_sheet, fit
from .decoding import decode
from .pixels import Scan
from .records import DISTRACTOR, JUNK, Split

PEOPLE, IMAGES = 3, 4


def sheet(splits: Sequence[Split], seen: Scan, *, tile: tuple[int, int] = (160, 80)) -> bytes:
    """A PNG with two rows per split, and one more for its distractors and junk.

    A row shows ``PEOPLE`` people (or classes) side by side, ``IMAGES`` images of each; an image gets ``tile`` (height, width) pixels.
    """
    tiles: list[np.ndarray] = []
    captions: list[str] = []
    start = 0
    for split in splits:
        readable = seen.groups[start : start + len(split)] >= 0
        start += len(split)
        for rows in _shown(split, readable):
            for row in rows:
                tiles.append(np.full((*tile, 3), 255, dtype=np.uint8) if row is None else fit(decode(split.files[row]), tile))  # shrunk at once, since photographs are large
                captions.append("" if row is None else _caption(split, row))
    return contact_sheet(tiles, columns=PEOPLE * IMAGES, captions=captions, tile=tile)


def _caption(split: Split, row: int) -> str:
    label = int(split.labels[row])
    word = {DISTRACTOR: "distractor", JUNK: "junk"}.get(label) or (
        str(label) if split.label_names is None else split.label_names[label - 1]
    )
    return f"{split.name} {word}{f' c{split.cameras[row]}' if split.cameras.any() else ''}"


def _shown(split: Split, readable: np.ndarray) -> list[list[int | None]]:
    """Rows of the sheet, each ``PEOPLE * IMAGES`` image rows of the split, None for an empty place."""
    shown = []
    for part in np.array_split(_spread(split.identities, 2 * PEOPLE), 2):
        row: list[int | None] = []
        for label in part:
            own = np.flatnonzero((split.labels == label) & readable)
            own = _spread(own[np.argsort(split.cameras[own], kind="stable")], IMAGES).tolist()
            row += own + [None] * (IMAGES - len(own))
        shown.append(row + [None] * (PEOPLE * IMAGES - len(row)))
    special = [
        _spread(np.flatnonzero((split.labels == label) & readable), PEOPLE * IMAGES // 2).tolist()
        for label in (DISTRACTOR, JUNK)
    ]
    if any(special):
        row = special[0] + special[1]
        shown.append(row + [None] * (PEOPLE * IMAGES - len(row)))
    return [row for row in shown if any(place is not None for place in row)]


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the values, evenly spaced."""
    return values[np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)]
