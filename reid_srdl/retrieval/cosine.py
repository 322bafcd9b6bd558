"""Search by cosine distance, on any backend: vectors are kept at length 1, where the squared Euclidean distance is 2 (1 - cosine)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.records import JUNK
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation.flat_index import unit_length
from ..evaluation.tiles import check_lengths
from .index import Added, Hits, Index, Track, check_queries


def at_unit_length(embeddings: Embeddings) -> Embeddings:
    """The same images with vectors scaled to length 1; those of junk, which no index takes, become zeros.

    Raises:
        UserError: a vector is too long for float32, or all zeros. Zeros have cosine 0 with every vector, and no vector of length 1 has the same distance to all others.
    """
    junk = np.zeros(len(embeddings), bool) if embeddings.labels is None else embeddings.labels == JUNK
    vectors = np.where(junk[:, None], np.float32(0), embeddings.vectors) if junk.any() else embeddings.vectors
    check_lengths(vectors, "gallery")
    kept = unit_length(vectors)
    zeros = np.flatnonzero(~kept.any(axis=1) & ~junk)
    if len(zeros):
        first = embeddings.paths[zeros[0]] if embeddings.paths is not None else f"number {zeros[0] + 1}"
        raise UserError(f"{len(zeros):,} of {len(kept):,} vectors hold nothing but zeros, such as {first}", "They have no cosine: leave them out, or take the metric euclidean.")
    return dataclasses.replace(embeddings, vectors=kept)


class CosineIndex:
    """An ``index.Index`` around another one; distances of hits are 1 - cosine.

    Args:
        inner: the index that holds the vectors, at length 1.
    """

    def __init__(self, inner: Index) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __len__(self) -> int:
        return len(self._inner)

    def still(self) -> CosineIndex:
        return CosineIndex(self._inner.still())

    def search(self, vectors: np.ndarray, top_k: int, cameras: Sequence[int] | None = None) -> Hits:
        vectors = check_queries(vectors, top_k, self._inner.dimension)
        hits = self._inner.search(unit_length(vectors), top_k, cameras)
        distances = hits.distances / 2
        distances[~vectors.any(axis=1)[:, None] & np.isfinite(distances)] = 1  # a query of zeros has cosine 0 with everything
        return dataclasses.replace(hits, distances=distances)

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        return self._inner.add(at_unit_length(embeddings), names=names, track=track)
