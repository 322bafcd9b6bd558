"""A data set's own ground truth against ours: the ``gt_query`` files of Market-1501's layout.

For each query ``NAME_good.mat`` holds ``good_index`` (images of the person from other cameras: the matches) and
``NAME_junk.mat`` holds ``junk_index`` (images of the person from the query's own camera). Both count from 1 in the
list of gallery files sorted by name, junk files (``-1_…``) included; a file with
nothing to list is empty or holds a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from . import matches
from .listing import read_mat
from .records import JUNK, ReIDData

FOLDER = "gt_query"
_BLOCK = 256


@dataclass(frozen=True)
class Verification:
    """How the computed matches agree with the published ones.

    Args:
        source: what holds the published matches.
        queries: queries with both files.
        good: matches in the files, over all queries.
        computed: matches computed for the same queries.
        ignored: same-camera images in the files, over all queries.
        missing: queries without a file, by path.
        differing: for each query that differs, one sentence.
    """

    source: str
    queries: int
    good: int
    computed: int
    ignored: int
    missing: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        return not self.missing and not self.differing


def verify(data: ReIDData, track: Callable[[Iterable[int]], Iterable[int]] = iter) -> Verification:
    """Compares the matches of every query with those that the data set publishes.

    Args:
        data: a set in Market-1501's layout.
        track: wraps the iteration over queries, for a progress bar.

    Raises:
        UserError: the set has no ``gt_query``, a file of it is unreadable, or an index lies outside the gallery.
    """
    folder = data.query.root / FOLDER
    if not folder.is_dir():
        raise UserError(
            f"{data.name} has no folder {folder} to verify against",
            "The command data check looks at the data set without it.",
        )
    query, gallery = data.query, data.gallery
    missing, differing = [], []
    queries = good = computed = ignored = 0
    block = np.empty((0, 0), dtype=np.uint8)
    for row in track(range(len(query))):
        if row % _BLOCK == 0:
            rows = slice(row, row + _BLOCK)
            block = matches.states(query.labels[rows], query.cameras[rows], gallery.labels, gallery.cameras)
        stem = query.paths[row].rpartition("/")[2].partition(".")[0]
        files = folder / f"{stem}_good.mat", folder / f"{stem}_junk.mat"
        if not all(file.is_file() for file in files):
            missing.append(query.paths[row])
            continue
        published = [
            _indices(file, key, len(gallery)) for file, key in zip(files, ("good_index", "junk_index"), strict=True)
        ]
        state = block[row % _BLOCK]
        ours = [
            np.flatnonzero(state == matches.MATCH),
            np.flatnonzero((state == matches.IGNORED) & (gallery.labels != JUNK)),
        ]
        queries += 1
        good += len(published[0])
        ignored += len(published[1])
        computed += len(ours[0])
        difference = _difference(*published, *ours)
        if difference:
            differing.append(f"{query.paths[row]}: {difference}")
    return Verification(FOLDER, queries, good, computed, ignored, tuple(missing), tuple(differing))


def _indices(file: Path, key: str, size: int) -> np.ndarray:
    """Gallery rows from 0, ascending."""
    listed = np.unique(read_mat(file, key)[key].ravel().astype(np.int64))
    listed = listed[listed != 0]
    if len(listed) and not 1 <= listed[0] <= listed[-1] <= size:
        raise UserError(
            f"{file} names gallery image {listed[-1]:,} of a gallery of {size:,}: these are not the images that it "
            "was made for",
            "Unpack the whole data set.",
        )
    return listed - 1


def _difference(good: np.ndarray, junk: np.ndarray, our_good: np.ndarray, our_junk: np.ndarray) -> str:
    parts = []
    for what, published, ours in (("matches", good, our_good), ("same-camera images", junk, our_junk)):
        if not np.array_equal(published, ours):
            less, more = len(np.setdiff1d(published, ours)), len(np.setdiff1d(ours, published))
            parts.append(f"{what}: {less} only in the files, {more} only computed")
    return "; ".join(parts)
