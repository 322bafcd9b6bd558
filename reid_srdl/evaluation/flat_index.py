"""A flat faiss index: every distance, nearest first; on the GPU where the installed faiss supports it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..errors import UserError
from .tiles import Metric

_GPU_DEPTH = 2048
"""The most items that a search of a GPU index returns."""
_SLOW_FROM = 128_000
_PRODUCT_FROM = 800
"""Size of the queries (Q times D, for each thread) from which a matrix product is faster than distances one by one. faiss 1.14 and 1.15 multiply only
from 128,000 on, so that 200 queries of 512 numbers took 5 times as long on one thread; 800 is what its authors measured next (their #5109)."""


def load_faiss() -> Any:
    """The module faiss. Raises ``UserError`` where it is not installed."""
    try:
        import faiss
    except ImportError:
        raise UserError(
            "faiss is not installed", "Install one of the two: pip install 'reid-srdl[cpu]', or with CUDA pip install 'reid-srdl[gpu]'."
        ) from None
    if getattr(faiss.cvar, "distance_compute_blas_threshold", 0) == _SLOW_FROM:
        faiss.cvar.distance_compute_blas_threshold = _PRODUCT_FROM * faiss.omp_get_max_threads()
    return faiss


def has_gpu(faiss: Any) -> bool:
    """Whether this faiss was built for GPUs and sees one."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


class FlatIndex:
    """Exact search in ``vectors (G, D)``.

    Args:
        vectors: float32; copied into the index.
        metric: ``euclidean`` (squared distances) or ``cosine`` (1 - cosine).
        piece: items of one index; a GPU index can be searched to its full depth only if it is small. By default all items on
            the CPU, and as many as can be searched so on a GPU.
        gpu: use a GPU where the installed faiss supports one.

    Attributes:
        on_gpu: whether the index is on a GPU.

    Raises:
        UserError: faiss is not installed.
    """

    def __init__(self, vectors: np.ndarray, metric: Metric = "euclidean", *, piece: int | None = None, gpu: bool = True) -> None:
        faiss = load_faiss()
        self._metric, self._size = metric, len(vectors)
        self.on_gpu = gpu and has_gpu(faiss)
        if self.on_gpu and torch.cuda.is_initialized():
            torch.cuda.empty_cache()  # faiss asks the driver for memory of its own
        self._resources = faiss.StandardGpuResources() if self.on_gpu else None
        self._piece = piece or (_GPU_DEPTH if self.on_gpu else max(1, len(vectors)))
        self._indices = []
        for start in range(0, len(vectors), self._piece):
            some = np.ascontiguousarray(vectors[start : start + self._piece])
            index = faiss.IndexFlatL2(some.shape[1]) if metric == "euclidean" else faiss.IndexFlatIP(some.shape[1])
            if self.on_gpu:
                index = faiss.index_cpu_to_gpu(self._resources, 0, index)
            index.add(some if metric == "euclidean" else unit_length(some))
            self._indices.append(index)

    def search(self, queries: np.ndarray, depth: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(distances float32, positions int64), both ``(B, depth)``, nearest first; by default all G items.

        Items at the same distance come in any order.
        """
        depth = min(depth or self._size, self._size)
        queries = np.ascontiguousarray(queries if self._metric == "euclidean" else unit_length(queries))
        found = [index.search(queries, min(depth, index.ntotal)) for index in self._indices]
        distances = np.concatenate([part[0] for part in found], axis=1)
        positions = np.concatenate([part[1] + number * self._piece for number, part in enumerate(found)], axis=1)
        if self._metric == "cosine":
            distances = 1 - distances
        if len(found) > 1:
            order = np.argsort(distances, axis=1)[:, :depth]
            distances, positions = np.take_along_axis(distances, order, axis=1), np.take_along_axis(positions, order, axis=1)
        return distances, positions


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Each row divided by its length; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
