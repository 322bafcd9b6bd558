"""Exact ranks of all matches by distances that are there already, such as those of a re-ranking."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..data.records import DISTRACTOR, JUNK
from ..embeddings import Embeddings
from .result import RankResult


def rank_distances(query: Embeddings, gallery: Embeddings, blocks: Iterable[tuple[slice, np.ndarray]], *, same_camera: bool = False) -> RankResult:
    """Ranks every match of every query by the rules of ``ranking.rank``: who exists for a query, and ties by gallery position.

    Args:
        query: Q queries with labels and cameras; their vectors are not looked at.
        gallery: G items, alike.
        blocks: consecutive queries, all in all Q, and their distances to the gallery ``(queries, G)``.
        same_camera: images of the query's person by the query's own camera are matches too; cameras are then not needed.
    """
    exists = gallery.labels != JUNK
    starts, ranks = [0], []
    for rows, distances in blocks:
        for row, far in zip(range(rows.start, rows.stop), distances, strict=True):
            label = query.labels[row]
            same = (gallery.labels == label) & (label > DISTRACTOR)
            own = np.zeros_like(same) if same_camera else same & (gallery.cameras == query.cameras[row])
            there = np.flatnonzero(exists & ~own)
            order = there[np.argsort(far[there], kind="stable")]
            ranks.append(np.flatnonzero(same[order]) + 1)
            starts.append(starts[-1] + len(ranks[-1]))
    return RankResult.of(np.array(starts), np.concatenate([np.empty(0, np.int64), *ranks]))
