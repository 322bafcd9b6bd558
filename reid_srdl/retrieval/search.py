"""From query vectors to ranked images: query expansion, search, re-ranking, and what the distances mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..embeddings import UNKNOWN, short_hash
from ..errors import UserError
from ..evaluation.expansion import averaged
from ..evaluation.flat_index import unit_length
from ..evaluation.rerank import Reranking, rerank
from ..evaluation.scored import Track
from ..ranges import check_ranges, number
from .index import About, Hits, Index

if TYPE_CHECKING:
    from ..evaluation.calibration import Calibration
    from ..runs import Trained

TOP_K = 20
"""Hits for each query by default."""
CANDIDATES = 200
"""Nearest images of each query that re-ranking compares by default."""


@dataclass(frozen=True)
class Wanted:
    """How many images are searched for, and how.

    Args:
        top_k: hits for each query.
        cameras: only images of these cameras; none means all.
        expand: number of nearest images that each query is averaged with before the search; 0 for none.
        rerank: how the candidates are re-ranked; none ranks by distance.
        candidates: images that are re-ranked for each query; at least ``top_k`` are taken.
        without: id of an image to leave out: the query's own, where the query is an image of the index.
    """

    top_k: int = number(TOP_K, above=0)
    cameras: tuple[int, ...] | None = None
    expand: int = number(0, least=0)
    rerank: Reranking | None = None
    candidates: int = number(CANDIDATES, above=0)
    without: int | None = None

    @property
    def why_no_probability(self) -> str:
        """Why hits of such a search have no probability, even with a calibration; empty where they may have one."""
        return "distances of expanded queries are not those that were calibrated" if self.expand else ""

    def check(self) -> None:
        """Raises ``UserError`` for numbers out of range."""
        if self.rerank is not None:
            self.rerank.check()
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Found:
    """What was found, best first.

    Args:
        hits: in the order in which they are shown.
        probabilities: float64 ``(Q, k)`` of the same identity, where they are known; NaN in empty places.
        reranked: float32 ``(Q, k)``, the distances after re-ranking that the order is by; infinite in empty places.
    """

    hits: Hits
    probabilities: np.ndarray | None = None
    reranked: np.ndarray | None = None


def find(index: Index, vectors: np.ndarray, wanted: Wanted, calibration: Calibration | None = None, *, track: Track = iter) -> Found:
    """Searches for Q queries.

    Args:
        index: the gallery.
        vectors: float32 ``(Q, D)``, of the network of the index.
        wanted: how many, and how.
        calibration: one that fits the index (``calibration_for``); none for hits without probabilities.
        track: wraps the iteration over queries in expansion and re-ranking, for a progress bar.

    Raises:
        UserError: numbers out of range, vectors that do not fit, or an image that was deleted during the search.
    """
    wanted.check()
    index = index.still()
    if index.about.metric == "cosine":  # before they are averaged or compared with those of the index, which have length 1
        vectors = unit_length(vectors)
    if wanted.expand:
        vectors = _expanded(index, vectors, wanted, track)
    depth = wanted.top_k if wanted.rerank is None else max(wanted.top_k, wanted.candidates)
    hits, reranked = _nearest(index, vectors, depth, wanted), None
    if wanted.rerank is not None:
        hits, reranked = _reranked(index, vectors, hits, wanted, track)
    probabilities = None
    if calibration is not None and not wanted.why_no_probability:
        probabilities = np.full(hits.ids.shape, np.nan)
        there = hits.ids >= 0
        probabilities[there] = calibration.probability(hits.distances[there])
    return Found(hits, probabilities, reranked)


def _nearest(index: Index, vectors: np.ndarray, depth: int, wanted: Wanted) -> Hits:
    """The nearest of the images that may be found, which ``wanted.cameras`` and ``wanted.without`` limit."""
    if wanted.without is None:
        return index.search(vectors, depth, wanted.cameras)
    hits = index.search(vectors, depth + 1, wanted.cameras)
    order = np.argsort(hits.ids == wanted.without, axis=1, kind="stable")[:, :depth]
    hits = Hits(*(np.take_along_axis(getattr(hits, column.name), order, axis=1) for column in dataclasses.fields(hits)))
    last = hits.ids == wanted.without  # still there where there were too few others
    for column, empty in zip(dataclasses.fields(hits), (-1, np.inf, "", UNKNOWN, UNKNOWN), strict=True):
        getattr(hits, column.name)[last] = empty
    return hits


def _vectors(index: Index, ids: np.ndarray) -> np.ndarray:
    try:
        return index.vectors(ids)
    except KeyError:
        raise UserError("an image was deleted while it was looked at", "Search again.") from None


def _expanded(index: Index, vectors: np.ndarray, wanted: Wanted, track: Track) -> np.ndarray:
    hits = _nearest(index, vectors, wanted.expand, wanted)
    result = np.array(vectors, dtype=np.float32)
    for row in track(range(len(result))):
        ids = hits.ids[row][hits.ids[row] >= 0]
        if len(ids):
            result[row] = averaged(result[row : row + 1], _vectors(index, ids)[None])[0]
    return result


def _reranked(index: Index, vectors: np.ndarray, hits: Hits, wanted: Wanted, track: Track) -> tuple[Hits, np.ndarray]:
    """The hits re-ranked by k-reciprocal neighbours among each query's own candidates, and the distances of that."""
    distances = np.full(hits.ids.shape, np.inf, np.float32)
    for row in track(range(len(hits))):
        there = np.flatnonzero(hits.ids[row] >= 0)
        if len(there):
            distances[row, there] = rerank(vectors[row : row + 1], _vectors(index, hits.ids[row, there]), wanted.rerank)[0]
    order = np.argsort(distances, axis=1, kind="stable")[:, : wanted.top_k]
    columns = (hits.ids, hits.distances, hits.paths, hits.labels, hits.cameras)
    return Hits(*(np.take_along_axis(column, order, axis=1) for column in columns)), np.take_along_axis(distances, order, axis=1)


# --- what fits an index ------------------------------------------------------------------------------------------------


def check_network(trained: Trained, about: About, path: Path, checkpoint: object) -> None:
    """Raises ``UserError`` where the network's embeddings are not comparable with those of the index at ``path``.

    A full-precision export of the network that the index was built with counts as that network.
    """
    if about.model and about.model not in trained.same_as:
        raise UserError(
            f"{path} was built by the network {short_hash(about.model)}, and {checkpoint} is {short_hash(trained.model_hash)}",
            "Distances between two networks mean nothing: name the run that embedded the gallery, or build an index of this one.",
        )
    if trained.dimension != about.dimension:
        raise UserError(f"{checkpoint} makes vectors of {trained.dimension} numbers, and those of {path} have {about.dimension}", "Name the run that embedded the gallery.")


def other_distance(index: Index, trained: Trained) -> str:
    """A note where the network's run compares embeddings by another distance than the index; else empty."""
    own = trained.distance if trained.config is not None or trained.facts is not None else index.about.metric
    if own == index.about.metric:
        return ""
    return f"note: the run is scored by its {own} distance, and {index.path} has {index.about.metric} ones; index --metric {own} builds one that ranks as the scores do"


def mirrored(index: Index, asked: bool | None) -> bool:
    """Whether to average queries with their mirror images: as the vectors of the index are or, where that is not known, as asked for.

    Raises:
        UserError: the opposite of what the index has is asked for.
    """
    known = index.about.flip
    if None not in (known, asked) and known != asked:
        kind = "with their mirror images" if known else "with no mirror images"
        raise UserError(f"the vectors of {index.path} are averaged {kind}", "Leave --flip out: queries are then embedded like them.")
    return bool(asked if known is None else known)


def calibration_for(index: Index, trained: Trained, *, flip: bool) -> tuple[Calibration | None, str]:
    """The network's calibration where it fits the distances of the index; else none, and why (empty where the network has none)."""
    from ..evaluation import calibration

    found = calibration.of_network(trained)
    if found is None:
        return None, ""
    if not index.model:
        return None, "the index does not say which network made it"
    if not calibration.fits(found, trained):
        return None, "the calibration is of another network"
    if found.metric != index.about.metric:
        return None, f"the calibration is of {found.metric} distances, and those of the index are {index.about.metric}"
    if found.flip != flip:
        return None, f"the calibration is of embeddings {'with' if found.flip else 'without'} --flip"
    if not index.true_distances:
        return None, "the distances of this index are approximate"
    return found, ""


# --- as plain values ---------------------------------------------------------------------------------------------------


def as_records(found: Found, row: int, index: Index) -> list[dict[str, Any]]:
    """The hits of a query as JSON can hold them: rank, distance, probability, reranked, and ``record_of``; null where not known."""
    hits, records = found.hits, []
    for place in range(int(hits.counts[row])):
        number, path, label, camera = (getattr(hits, column)[row, place] for column in ("ids", "paths", "labels", "cameras"))
        records.append(
            {
                "rank": place + 1,
                "distance": float(hits.distances[row, place]),
                "probability": None if found.probabilities is None else float(found.probabilities[row, place]),
                "reranked": None if found.reranked is None else float(found.reranked[row, place]),
                **record_of(index, number, path, label, camera),
            }
        )
    return records


def record_of(index: Index, number: int, path: str, label: int, camera: int) -> dict[str, Any]:
    """What is known of an image as JSON can hold it: id, path, camera, label, name; null where not known."""
    return {
        "id": int(number),
        "path": str(path),
        "camera": None if camera == UNKNOWN else int(camera),
        "label": None if label == UNKNOWN else int(label),
        "name": index.about.names.get(int(label)),
    }


def remarks(found: Found, wanted: Wanted, names: Sequence[str], index: Index) -> list[str]:
    """Lines on queries that got less than was asked for."""
    counts, lines = found.hits.counts, []
    of = "" if wanted.cameras is None else f" of camera {', '.join(map(str, wanted.cameras))}"
    if len(counts) and not counts.any():
        return [f"There is no image{of} in {index.path}."]
    short_of = [name for name, count in zip(names, counts.tolist(), strict=True) if count < wanted.top_k]
    if short_of and len(set(counts.tolist())) == 1:
        lines.append(f"{index.path} holds {counts[0]:,} {'image' if counts[0] == 1 else 'images'}{of}: all of them are shown.")
    elif short_of:
        lines.append(f"For {len(short_of):,} of {len(names):,} queries fewer than {wanted.top_k} images{of} were found (first: {short_of[0]}).")
    return lines
