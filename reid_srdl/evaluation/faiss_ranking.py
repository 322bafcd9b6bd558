"""The same scores from faiss: a flat index, searched to its full depth in blocks of queries."""

from __future__ import annotations

import numpy as np

from ..data import matches
from ..embeddings import Embeddings
from ..errors import UserError
from .columns import require
from .flat_index import FlatIndex
from .result import RankResult
from .tiles import Metric

_BLOCK_BYTES = 64 << 20
"""Bytes of the distances and positions that a search of one block of queries returns."""


def rank_with_faiss(
    query: Embeddings, gallery: Embeddings, *, metric: Metric = "euclidean", same_camera: bool = False, piece: int | None = None, gpu: bool = True
) -> RankResult:
    """As ``rank``, but items at the same distance come in the order that faiss has them in.

    Args:
        query, gallery, metric, same_camera: as in ``rank``.
        piece, gpu: as in ``FlatIndex``.

    Raises:
        UserError: faiss is not installed; as in ``rank``.
    """
    for part, name in ((query, "query"), (gallery, "gallery")):
        if not len(part):
            raise UserError(f"the {name} holds no vectors", "There is nothing to rank.")
    require(query, gallery, same_camera=same_camera)
    query_cameras, gallery_cameras = (
        np.zeros(len(part), dtype=np.int64) if part.cameras is None else part.cameras for part in (query, gallery)
    )
    index = FlatIndex(gallery.vectors, metric, piece=piece, gpu=gpu)
    block = max(1, _BLOCK_BYTES // (12 * len(gallery)))
    counts, ranks = [], []
    for start in range(0, len(query), block):
        rows = slice(start, start + block)
        _, positions = index.search(query.vectors[rows])
        state = matches.states(query.labels[rows], query_cameras[rows], gallery.labels, gallery_cameras, same_camera=same_camera)
        state = np.take_along_axis(state, positions, axis=1)
        rank = np.cumsum(state != matches.IGNORED, axis=1)
        counts.append((state == matches.MATCH).sum(axis=1))
        ranks.append(rank[state == matches.MATCH])
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return RankResult.of(starts, np.concatenate(ranks).astype(np.int64))
