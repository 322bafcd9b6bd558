"""Average query expansion (Chum et al. 2007; weighted: Radenovic, Tolias, Chum 2018): a query becomes the mean of itself and what it finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import UserError

_BLOCK_BYTES = 128 << 20


def expand(queries: np.ndarray, gallery: np.ndarray, *, count: int, weight: float = 0.0) -> np.ndarray:
    """Queries that have been averaged with their nearest gallery items.

    Args:
        queries: float32 ``(Q, D)``.
        gallery: float32 ``(G, D)``.
        count: gallery items that each query is averaged with.
        weight: items are weighted by their cosine to the query to this power; 0 weighs query and items alike (the plain average),
            above 0 items with a negative cosine get no weight.

    Returns:
        float32 ``(Q, D)``, with the lengths of the original queries, so that distances stay comparable.

    Raises:
        UserError: a count below 1 or a weight below 0.
    """
    if count < 1:
        raise UserError(f"queries cannot be expanded by {count} items", "Name 1 or more.")
    if weight < 0:
        raise UserError(f"the weight of query expansion is {weight}", "It must not be below 0.")
    with_nearest = ((rows, gallery[near]) for rows, near in _nearest(queries, gallery, min(count, len(gallery))))
    return np.concatenate([averaged(queries[rows], items, weight=weight) for rows, items in with_nearest])


def averaged(queries: np.ndarray, items: np.ndarray, *, weight: float = 0.0) -> np.ndarray:
    """Each query averaged with items of its own.

    Args:
        queries: float32 ``(Q, D)``.
        items: float32 ``(Q, k, D)``.
        weight: as in ``expand``.

    Returns:
        float32 ``(Q, D)``, with the lengths of the original queries.
    """
    lengths = np.linalg.norm(queries, axis=1, keepdims=True)
    together = np.concatenate([queries[:, None], items], axis=1)
    if weight:
        norms = np.linalg.norm(together, axis=2) * lengths
        cosines = np.einsum("qd,qkd->qk", queries, together) / np.maximum(norms, np.finfo(np.float32).tiny)
        together = together * np.maximum(cosines, 0)[..., None] ** weight
    mean = together.sum(axis=1)
    return (mean * lengths / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.finfo(np.float32).tiny)).astype(np.float32)


def _nearest(queries: np.ndarray, gallery: np.ndarray, count: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of queries, and the gallery rows nearest to each, ``(rows, count)``."""
    items = torch.from_numpy(np.require(gallery, np.float32, "CW"))
    lengths = (items * items).sum(dim=1)
    step = max(1, _BLOCK_BYTES // (4 * max(len(gallery), (count + 1) * gallery.shape[1])))  # distances to all items, and then the nearest items themselves
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        wanted = torch.from_numpy(np.require(queries[rows], np.float32, "CW"))
        far = torch.addmm(lengths[None], wanted, items.T, alpha=-2)
        yield rows, torch.topk(far, count, largest=False).indices.numpy()
