"""Compares a data set's published ground truth with the matches computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from . import ground_truth, matches
from .records import JUNK, ReIDData

_BLOCK = 256


@dataclass(frozen=True)
class Verification:
    """How the computed matches agree with the published ones.

    Args:
        source: the file or folder of the published ones.
        queries: number of queries found there.
        good: number of matches published for them.
        computed: number of matches computed for the same queries.
        ignored: number of same-camera images published for them.
        missing: paths of queries that are not found there.
        differing: one sentence for each query that differs.
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
        data: a set that comes with its matches.
        track: wraps the iteration over queries, for a progress bar.

    Raises:
        UserError: the set publishes no matches in a known format, a file of them is unreadable, or an index lies outside the gallery.
    """
    published = ground_truth.of(data)
    query, gallery = data.query, data.gallery
    missing, differing = [], []
    queries = good = computed = ignored = 0
    block = np.empty((0, 0), dtype=np.uint8)
    for row in track(range(len(query))):
        if row % _BLOCK == 0:
            rows = slice(row, row + _BLOCK)
            block = matches.states(query.labels[rows], query.cameras[rows], gallery.labels, gallery.cameras)
        known = published.of(query.paths[row])
        if known is None:
            missing.append(query.paths[row])
            continue
        state = block[row % _BLOCK]
        ours = [
            np.flatnonzero(state == matches.MATCH),
            np.flatnonzero((state == matches.IGNORED) & (gallery.labels != JUNK)),
        ]
        queries += 1
        good += len(known[0])
        ignored += len(known[1])
        computed += len(ours[0])
        difference = _difference(*known, *ours)
        if difference:
            differing.append(f"{query.paths[row]}: {difference}")
    return Verification(published.source, queries, good, computed, ignored, tuple(missing), tuple(differing))


def _difference(good: np.ndarray, junk: np.ndarray, our_good: np.ndarray, our_junk: np.ndarray) -> str:
    parts = []
    for what, published, ours in (("matches", good, our_good), ("same-camera images", junk, our_junk)):
        if not np.array_equal(published, ours):
            less, more = len(np.setdiff1d(published, ours)), len(np.setdiff1d(ours, published))
            parts.append(f"{what}: {less} only in the files, {more} only computed")
    return "; ".join(parts)
