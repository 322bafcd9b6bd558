"""k-reciprocal re-ranking (Zhong, Zheng, Cao, Li: Re-ranking Person Re-identification with k-reciprocal Encoding, CVPR 2017).

Two images are alike if their nearest images are the same. The matrix of all N = Q + G images by themselves is never held as
a whole: neighbours are found in blocks of rows, and what follows is sparse. Memory grows as N times the size of a
neighbour set, and the distances are returned in blocks of queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from ..ranges import check_ranges, number
from .scored import Track

_BLOCK_BYTES = 128 << 20


@dataclass(frozen=True)
class Reranking:
    """Parameters of re-ranking; the defaults are the paper's.

    Args:
        k1: size of the k-reciprocal sets; the sets that they may be extended by have half of it.
        k2: how many nearest images a set is averaged over (local query expansion); 1 averages nothing.
        weight: of the original distance beside the Jaccard distance (lambda in Eq. 12).
    """

    k1: int = number(20, above=0)
    k2: int = number(6, above=0)
    weight: float = number(0.3, least=0, most=1)

    def check(self) -> None:
        """Raises ``UserError`` for sizes below 1 or a weight that is not between 0 and 1."""
        check_ranges(self, "rerank_")


PAPER = Reranking()


def rerank(queries: np.ndarray, gallery: np.ndarray, how: Reranking = PAPER) -> np.ndarray:
    """Distances after re-ranking, all at once.

    Args:
        queries: float32 ``(Q, D)``.
        gallery: float32 ``(G, D)``.
        how: sizes and weight.

    Returns:
        float32 ``(Q, G)``, within 0 and 1.
    """
    return np.concatenate([distances for _, distances in reranked(queries, gallery, how)])


def reranked(queries: np.ndarray, gallery: np.ndarray, how: Reranking = PAPER, *, track: Track = iter) -> Iterator[tuple[slice, np.ndarray]]:
    """Distances after re-ranking, a block of queries at a time.

    The set of an image is extended by that of a member where they share more than two thirds of the latter, as in the authors' code,
    from which all published scores come (in the paper's Eq. 4, exactly two thirds are enough). Original distances are squared, and
    each image's are divided by its largest, as in that code.

    Args:
        queries: float32 ``(Q, D)``.
        gallery: float32 ``(G, D)``.
        how: sizes and weight.
        track: wraps the iteration over the blocks whose neighbours are found, which takes most of the time, for a progress bar.

    Yields:
        which queries, and float32 ``(queries, G)``.

    Raises:
        UserError: sizes below 1, a weight outside of 0 and 1.
    """
    how.check()
    everything = torch.from_numpy(np.concatenate([queries, gallery]).astype(np.float32, copy=False))
    near = _Neighbours.of(everything, max(how.k1 + 1, how.k2), track)
    encoded = _encoded(near, how)
    columns = encoded.tocsc()
    count = len(queries)
    for rows in _blocks(count, len(everything)):
        original = near.distances(rows, slice(count, None)).numpy()
        jaccard = np.stack([_jaccard(encoded, columns, row)[count:] for row in range(rows.start, rows.stop)])
        yield rows, (jaccard * (1 - how.weight) + original * how.weight).astype(np.float32)


# --- the nearest of each -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """The nearest images of each of N images, itself first.

    Args:
        vectors: ``(N, D)``.
        ids: int64 ``(N, k)``, nearest first.
        farthest: ``(N,)``, squared distance to the farthest image.
    """

    vectors: torch.Tensor
    ids: np.ndarray
    farthest: torch.Tensor

    @staticmethod
    def of(vectors: torch.Tensor, count: int, track: Track) -> _Neighbours:
        count = min(count, len(vectors))
        lengths = (vectors * vectors).sum(dim=1)
        ids, farthest = [], []
        starts = list(_blocks(len(vectors), len(vectors)))
        for block in track(range(len(starts))):
            rows = starts[block]
            found = _squared(vectors[rows], vectors, lengths)
            farthest.append(found.max(dim=1).values)
            # An image is its own nearest, whatever rounding or an equal image says.
            found[torch.arange(len(found)), torch.arange(rows.start, rows.stop)] = -1
            ids.append(torch.topk(found, count, largest=False).indices)
        return _Neighbours(vectors, torch.cat(ids).numpy(), torch.cat(farthest).clamp_min(torch.finfo(torch.float32).tiny))

    def first(self, count: int) -> sparse.csr_matrix:
        """``(N, N)``: 1 where the column is among the first ``count`` of the row."""
        ids = self.ids[:, :count]
        total, count = ids.shape
        return sparse.csr_matrix((np.ones(ids.size, np.float32), ids.ravel(), np.arange(0, ids.size + 1, count)), shape=(total, total))

    def distances(self, rows: slice, others: slice) -> torch.Tensor:
        """Squared distances, divided by the largest of each row."""
        chosen = self.vectors[others]
        return _squared(self.vectors[rows], chosen, (chosen * chosen).sum(dim=1)) / self.farthest[rows, None]

    def of_pairs(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """As ``distances``, for pairs of images: ``(P,)``."""
        result = np.empty(len(row), np.float32)
        step = max(1, _BLOCK_BYTES // (8 * self.vectors.shape[1]))
        for start in range(0, len(row), step):
            one, other = (torch.from_numpy(part[start : start + step].astype(np.int64)) for part in (row, column))
            result[start : start + step] = ((self.vectors[one] - self.vectors[other]).square().sum(dim=1) / self.farthest[one]).numpy()
        return result


def _squared(rows: torch.Tensor, others: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    return torch.addmm(lengths[None], rows, others.T, alpha=-2).add_((rows * rows).sum(dim=1, keepdim=True)).clamp_min_(0)


def _blocks(count: int, columns: int) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // (4 * columns))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


# --- sets of neighbours as vectors ---------------------------------------------------------------------------------------


def _encoded(near: _Neighbours, how: Reranking) -> sparse.csr_matrix:
    """Each image as weights of those in its extended k-reciprocal set (Eq. 6 and 11): ``(N, N)``, each row of sum 1."""
    sets = _reciprocal(near, how.k1)
    small = _reciprocal(near, int(np.around(how.k1 / 2)))
    sizes = np.asarray(small.sum(axis=1)).ravel()
    parts = []
    for rows in _blocks(sets.shape[0], sets.shape[1]):
        own = sets[rows]
        shared = (own @ small.T).multiply(own).tocsr()
        shared.data = (shared.data > 2 / 3 * sizes[shared.indices]).astype(np.float32)
        parts.append(own + shared @ small)
    grown = sparse.vstack(parts).tocsr()
    grown.sum_duplicates()
    row = np.repeat(np.arange(grown.shape[0]), np.diff(grown.indptr))
    kept = grown.data > 0
    row, column = row[kept], grown.indices[kept]
    weights = np.exp(-near.of_pairs(row, column))
    total = np.bincount(row, weights, minlength=grown.shape[0])
    encoded = sparse.csr_matrix(((weights / total[row]).astype(np.float32), (row, column)), shape=grown.shape)
    if how.k2 == 1:
        return encoded
    return (near.first(how.k2) @ encoded / min(how.k2, near.ids.shape[1])).tocsr()


def _reciprocal(near: _Neighbours, k: int) -> sparse.csr_matrix:
    """Eq. 2: 1 where each of two images is among the k nearest of the other; an image is in its own set."""
    forward = near.first(k + 1)
    return forward.multiply(forward.T).tocsr()


def _jaccard(encoded: sparse.csr_matrix, columns: sparse.csc_matrix, row: int) -> np.ndarray:
    """Eq. 10: Jaccard distances of one image to all, which are 1 minus the shared weight over the total: float64 ``(N,)``."""
    own = slice(encoded.indptr[row], encoded.indptr[row + 1])
    members, weights = encoded.indices[own], encoded.data[own]
    starts, stops = columns.indptr[members], columns.indptr[members + 1]
    counts = stops - starts
    # All entries of the members' columns, one after another.
    places = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    shared = np.minimum(columns.data[places], np.repeat(weights, counts))
    both = np.bincount(columns.indices[places], shared, minlength=encoded.shape[0])
    return 1 - both / (2 - both)
