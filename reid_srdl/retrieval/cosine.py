"""A gallery that is searched by the cosine, on any backend: its vectors have length 1, and their squared distances are twice 1 - cosine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..embeddings import Embeddings
from ..evaluation.flat_index import unit_length
from .index import Added, Hits, Index, Track, check_queries


def at_unit_length(embeddings: Embeddings) -> Embeddings:
    """The same images with vectors of length 1; a vector of zeros stays."""
    return dataclasses.replace(embeddings, vectors=unit_length(embeddings.vectors))


class CosineIndex:
    """The interface is that of ``index.Index``; distances of hits are 1 - cosine.

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
        return dataclasses.replace(hits, distances=hits.distances / 2)

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        return self._inner.add(at_unit_length(embeddings), names=names, track=track)
