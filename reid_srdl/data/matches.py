"""Which gallery item is a match, ignored, or neither for a query: the only place where this rule is written.

For a query, a gallery item of the same person is a match; but one by the query's own camera is ignored, as if it did not
exist, unless such images are to count (``same_camera``). Junk (label -1) is always ignored. Everything else, distractors
(label 0) included, is a wrong answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .records import DISTRACTOR, JUNK

NEITHER, MATCH, IGNORED = 0, 1, 2
"""A wrong answer; a right one; an item that is ignored for the query."""


def states(
    query_labels: np.ndarray,
    query_cameras: np.ndarray,
    gallery_labels: np.ndarray,
    gallery_cameras: np.ndarray,
    *,
    same_camera: bool = False,
) -> np.ndarray:
    """What each gallery item is for each query.

    Args:
        query_labels: ``(Q,)``.
        query_cameras: ``(Q,)``.
        gallery_labels: ``(G,)``.
        gallery_cameras: ``(G,)``.
        same_camera: images of the query's person by the query's own camera are matches too.

    Returns:
        uint8 ``(Q, G)`` of ``NEITHER``, ``MATCH`` and ``IGNORED``.
    """
    query_labels, gallery_labels = np.asarray(query_labels), np.asarray(gallery_labels)
    person = (query_labels[:, None] == gallery_labels) & (gallery_labels > DISTRACTOR)
    result = np.where(person, np.uint8(MATCH), np.uint8(NEITHER))
    if not same_camera:
        result[person & (np.asarray(query_cameras)[:, None] == np.asarray(gallery_cameras))] = IGNORED
    result[:, gallery_labels == JUNK] = IGNORED
    return result


@dataclass(frozen=True, eq=False)
class MatchCounts:
    """Numbers of gallery items for each query.

    Args:
        matches: right answers, int64 ``(Q,)``.
        same_camera: images of the right person that are ignored because the query's own camera took them, int64 ``(Q,)``.
        ignored: all items that are ignored for the query, junk among them, int64 ``(Q,)``.
    """

    matches: np.ndarray
    same_camera: np.ndarray
    ignored: np.ndarray


def count(
    query_labels: np.ndarray,
    query_cameras: np.ndarray,
    gallery_labels: np.ndarray,
    gallery_cameras: np.ndarray,
    *,
    same_camera: bool = False,
) -> MatchCounts:
    """The row sums of ``states``, in memory that grows with Q + G only."""
    query_labels, gallery_labels = np.asarray(query_labels), np.asarray(gallery_labels)
    person = _occurrences(query_labels[:, None], gallery_labels[:, None])
    person[query_labels <= DISTRACTOR] = 0
    if same_camera:
        own = np.zeros(len(query_labels), dtype=np.int64)
    else:
        own = _occurrences(np.column_stack([query_labels, query_cameras]), np.column_stack([gallery_labels, gallery_cameras]))
        own[query_labels <= DISTRACTOR] = 0
    return MatchCounts(matches=person - own, same_camera=own, ignored=own + (gallery_labels == JUNK).sum())


def _occurrences(asked: np.ndarray, among: np.ndarray) -> np.ndarray:
    """How often each row of ``asked (Q, k)`` occurs in ``among (G, k)``: int64 ``(Q,)``."""
    _, numbers = np.unique(np.concatenate([asked, among]), axis=0, return_inverse=True)
    numbers = numbers.reshape(-1)  # only numpy 2.0 keeps a second dimension
    return np.bincount(numbers[len(asked) :], minlength=len(numbers))[numbers[: len(asked)]].astype(np.int64)


def why_unmatched(counts: MatchCounts) -> str:
    """How many queries have no valid match, and why, in a plain sentence; empty where all have one."""
    without = counts.matches == 0
    total = int(without.sum())
    if not total:
        return ""
    own_only = int((without & (counts.same_camera > 0)).sum())
    reasons = []
    if own_only:
        reasons.append(f"for {own_only:,} the gallery shows the person from the query's own camera alone (--ignore_camera lets such images count)")
    if total > own_only:
        reasons.append(f"for {total - own_only:,} the person is not in the gallery at all")
    return f"{total:,} of {len(without):,} queries have no valid match: {', and '.join(reasons)}"
