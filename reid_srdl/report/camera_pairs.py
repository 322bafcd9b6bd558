"""How well people who were seen by one camera are found among the images of another, for each pair of cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import numpy as np

from ..evaluation import RankResult
from .evaluated import Evaluated, Ranked
from .html import beside, section
from .words import count

MOST = 16
"""Cameras in a table at most: those with most queries."""
ENOUGH = 20
"""Queries that a pair must have to be named as the hardest."""

DEFINITION = (
    "A row holds the queries of one camera, a column the matches of another. For a pair the query’s person in all other cameras does not "
    "exist, neither right nor wrong, while everybody else stays where they are, whichever camera took them. Queries without a match in the "
    "column’s camera are no part of the pair; how many are is the small number."
)


@dataclass(frozen=True, eq=False)
class CameraPairs:
    """Scores of queries of A cameras restricted to matches of B cameras.

    For a pair (a, b) a query of camera a keeps its matches in camera b alone: its matches in other cameras do not exist, and all
    other items are as wrong as ever. Queries without a match in b are left out of the pair.

    Args:
        query_cameras: int64 ``(A,)``, ascending.
        match_cameras: int64 ``(B,)``, ascending.
        queries: int64 ``(A, B)``, over how many the means are taken.
        rank1: ``(A, B)``, the share of them whose nearest item is a match; NaN where there are none.
        mAP: ``(A, B)``, the mean of their average precisions (means of the precisions at the matches); NaN likewise.
    """

    query_cameras: np.ndarray
    match_cameras: np.ndarray
    queries: np.ndarray
    rank1: np.ndarray
    mAP: np.ndarray


def camera_pairs(ranked: Ranked) -> CameraPairs | None:
    """The scores of all pairs, from the ranks alone; none where cameras are unknown or nothing matches."""
    query, gallery, result, positions = ranked
    if query.cameras is None or gallery.cameras is None or not len(positions):
        return None
    camera = gallery.cameras[positions]
    of_query = np.repeat(np.arange(len(query)), np.diff(result.starts))
    nth = np.arange(len(positions)) - result.starts[of_query]
    query_cameras, match_cameras = np.unique(query.cameras[of_query]), np.unique(camera)
    shape = len(query_cameras), len(match_cameras)
    queries, rank1, mAP = np.zeros(shape, dtype=np.int64), np.full(shape, np.nan), np.full(shape, np.nan)
    for column, b in enumerate(match_cameras):
        rows = np.flatnonzero(camera == b)
        counts = np.bincount(of_query[rows], minlength=len(query))
        starts = np.concatenate([[0], np.cumsum(counts)])
        before = np.arange(len(rows)) - starts[of_query[rows]]
        # A rank shrinks by the matches before it that no longer exist: those of other cameras.
        restricted = RankResult.of(starts, result.ranks[rows] - (nth[rows] - before))
        for row, a in enumerate(query_cameras):
            asked = (query.cameras == a) & (counts > 0)
            queries[row, column] = asked.sum()
            if asked.any():
                rank1[row, column], mAP[row, column] = (restricted.first[asked] == 1).mean(), restricted.ap[asked].mean()
    return CameraPairs(query_cameras, match_cameras, queries, rank1, mAP)


def camera_pairs_section(evaluated: Evaluated | None) -> str:
    """Two tables in colours; empty where nothing is ranked or there are no cameras to tell apart."""
    found = camera_pairs(evaluated.ranked) if evaluated is not None and evaluated.ranked is not None else None
    if evaluated is None or found is None or found.queries.size < 2:
        return ""
    plain = "" if evaluated.by_distance else '<p class="note">By the distances alone, without the expanded queries or the re-ranking of the scores above.</p>'
    shown = _largest(found)
    left = f" Of {len(found.query_cameras)} cameras these are the {MOST} with most queries." if shown is not found else ""
    return section(
        "Between cameras",
        f'<p class="note">{escape(DEFINITION + left)}</p>',
        plain,
        _extremes(found),
        beside(_heat("Rank-1", shown, shown.rank1), _heat("mAP", shown, shown.mAP)),
    )


def _largest(found: CameraPairs) -> CameraPairs:
    """The cameras with most queries, in their order; the same object where all of them fit."""
    if max(found.queries.shape) <= MOST:
        return found

    def most(sums: np.ndarray) -> np.ndarray:
        return np.sort(np.argsort(-sums, kind="stable")[:MOST])

    rows, columns = most(found.queries.sum(axis=1)), most(found.queries.sum(axis=0))
    cells = np.ix_(rows, columns)
    return CameraPairs(found.query_cameras[rows], found.match_cameras[columns], found.queries[cells], found.rank1[cells], found.mAP[cells])


def _extremes(found: CameraPairs) -> str:
    """The hardest and the easiest pair in words, where there are enough queries to say so."""
    known = np.where(found.queries >= ENOUGH, found.rank1, np.nan)
    if np.isfinite(known).sum() < 2:
        return ""

    def named(place: Callable[[np.ndarray], np.intp]) -> str:
        row, column = np.unravel_index(place(known), known.shape)
        return f"camera {found.query_cameras[row]} to {found.match_cameras[column]}, {100 * known[row, column]:.1f} %"

    return f"<p>Rank-1 is lowest from {named(np.nanargmin)}, and highest from {named(np.nanargmax)} (of pairs with at least {count(ENOUGH, 'query', 'queries')}).</p>"


def _heat(name: str, found: CameraPairs, values: np.ndarray) -> str:
    head = "".join(f'<th scope="col">to {camera}</th>' for camera in found.match_cameras)
    lines = []
    for row, camera in enumerate(found.query_cameras):
        cells = "".join(_cell(value, queries) for value, queries in zip(values[row], found.queries[row], strict=True))
        lines.append(f'<tr><th scope="row">from {camera}</th>{cells}</tr>')
    return f'<figure><figcaption><b>{name}</b>in per cent, and of how many queries</figcaption><div class="wide"><table class="heat"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div></figure>'


def _cell(value: float, queries: int) -> str:
    if not queries:
        return "<td>–</td>"
    return f'<td style="--share: {value:.3f}">{100 * value:.1f}<small>{queries:,}</small></td>'
