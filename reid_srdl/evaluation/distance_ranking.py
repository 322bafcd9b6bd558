"""Exact ranks of all matches by given distances, such as those of a re-ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..data.records import DISTRACTOR, JUNK
from ..embeddings import Embeddings
from ..errors import UserError
from .columns import require
from .result import RankResult


def rank_distances(
    query: Embeddings, gallery: Embeddings, distances: np.ndarray | Iterable[tuple[slice, np.ndarray]], *, same_camera: bool = False
) -> RankResult:
    """Ranks every match of every query by the rules of ``ranking.rank``: who exists for a query, and ties by gallery position.

    Args:
        query: Q queries with labels and cameras; their vectors are not looked at.
        gallery: G items, likewise, junk included.
        distances: ``(Q, G)``; or, where that is too large, blocks in order: a slice of consecutive queries and their distances ``(rows, G)``.
        same_camera: images of the query's person by the query's own camera are matches too; cameras are then not needed.

    Raises:
        UserError: labels or cameras that are not known; distances of another shape, not of all queries in their order, or that are NaN.
    """
    require(query, gallery, same_camera=same_camera)
    exists = gallery.labels != JUNK
    starts, ranks = [0], []
    for row, far in _rows(distances, len(query), len(gallery)):
        label = query.labels[row]
        same = (gallery.labels == label) & (label > DISTRACTOR)
        own = np.zeros_like(same) if same_camera else same & (gallery.cameras == query.cameras[row])
        there = np.flatnonzero(exists & ~own)
        order = there[np.argsort(far[there], kind="stable")]
        ranks.append(np.flatnonzero(same[order]) + 1)
        starts.append(starts[-1] + len(ranks[-1]))
    return RankResult.of(np.array(starts), np.concatenate([np.empty(0, np.int64), *ranks]))


def _rows(distances: np.ndarray | Iterable[tuple[slice, np.ndarray]], queries: int, items: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each query's row and its distances; raises ``UserError`` for what ``rank_distances`` does not take."""
    done = 0
    for rows, block in [(slice(0, queries), np.asarray(distances))] if hasattr(distances, "shape") else distances:
        start, stop, _ = rows.indices(queries)
        if start != done or np.shape(block) != (stop - start, items):
            raise UserError(
                f"distances of shape {np.shape(block)} are not those of queries {done:,} to {stop:,} and {items:,} gallery items",
                f"Give all ({queries:,}, {items:,}), junk included, in the order of query and gallery.",
            )
        if np.isnan(block).any():
            raise UserError(f"a distance of query {start + int(np.isnan(block).any(axis=1).argmax()):,} is NaN", "It has no place in an order.")
        yield from zip(range(start, stop), block, strict=True)
        done = stop
    if done < queries:
        raise UserError(f"there are distances of {done:,} of {queries:,} queries", "Give those of all.")
