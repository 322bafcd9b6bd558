"""The nearest gallery items of a few queries, for ranked lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data import matches
from ..embeddings import Embeddings
from .flat_index import FlatIndex
from .tiles import Metric

_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Nearest first, both ``(Q, k)``.

    Args:
        positions: in the gallery, int64; -1 where fewer than k items exist for the query.
        distances: squared Euclidean, or 1 - cosine; infinite where the position is -1.
    """

    positions: np.ndarray
    distances: np.ndarray


def neighbours(query: Embeddings, gallery: Embeddings, k: int, *, metric: Metric = "euclidean", same_camera: bool = False) -> Neighbours:
    """The k nearest gallery items that exist for each query: junk, and the query's own person and camera, are left out.

    Where labels are not known, all items exist. Equal distances are ordered by gallery position, among the items that the search returned.

    Raises:
        UserError: faiss is not installed.
    """
    index = FlatIndex(gallery.vectors, metric, gpu=False)  # for a few queries, copying the gallery to a GPU costs more
    known = _labels_and_cameras(query, gallery)
    ignored = matches.count(*known, same_camera=same_camera).ignored if known else np.zeros(len(query), dtype=np.int64)
    positions = np.full((len(query), k), -1, dtype=np.int64)
    distances = np.full((len(query), k), np.inf, dtype=np.float32)
    block = max(1, _BLOCK_BYTES // (16 * min(len(gallery), k + int(ignored.max(initial=0)))))
    for start in range(0, len(query), block):
        rows = np.arange(start, min(start + block, len(query)))
        # Deep enough for k items that exist even if all that do not exist are nearer.
        far, found = index.search(query.vectors[rows], k + int(ignored[rows].max()))
        order = np.lexsort((found, far), axis=1)
        far, found = np.take_along_axis(far, order, axis=1), np.take_along_axis(found, order, axis=1)
        for row, row_far, row_found in zip(rows, far, found, strict=True):
            if known:
                labels, cameras, gallery_labels, gallery_cameras = known
                state = matches.states(
                    labels[row : row + 1], cameras[row : row + 1], gallery_labels[row_found], gallery_cameras[row_found], same_camera=same_camera
                )[0]
                row_far, row_found = row_far[state != matches.IGNORED], row_found[state != matches.IGNORED]
            count = min(k, len(row_found))
            positions[row, :count], distances[row, :count] = row_found[:k], row_far[:k]
    return Neighbours(positions, distances)


def _labels_and_cameras(query: Embeddings, gallery: Embeddings) -> tuple[np.ndarray, ...] | None:
    """Labels and cameras of query and gallery, as ``matches`` takes them; None without labels. Unknown cameras count as different in query and gallery."""
    if query.labels is None or gallery.labels is None:
        return None
    if query.cameras is None or gallery.cameras is None:
        return query.labels, np.zeros(len(query), dtype=np.int64), gallery.labels, np.ones(len(gallery), dtype=np.int64)
    return query.labels, query.cameras, gallery.labels, gallery.cameras
