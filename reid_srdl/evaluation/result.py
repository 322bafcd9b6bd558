"""Scores of a ranking from the ranks of the matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class RankResult:
    """Ranks of the matches of Q queries, and the scores of each query.

    Ranks count from 1, among the gallery items that exist for the query. Queries without a match have NaN and are left
    out of the means.

    Args:
        starts: int64 ``(Q + 1,)``; the matches of query i are ``ranks[starts[i]:starts[i + 1]]``.
        ranks: int64 ``(M,)``, ascending for each query.
        first: rank of the nearest match, float64 ``(Q,)``.
        ap: average precision, the mean of the precisions at the matches, ``(Q,)``.
        ap_trapezoid: average precision by the trapezoid rule of the code that Market-1501 came with, ``(Q,)``.
        inp: inverse negative penalty (Ye et al. 2021, Eq. 2): matches divided by the rank of the last of them, ``(Q,)``.
    """

    starts: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    ap: np.ndarray
    ap_trapezoid: np.ndarray
    inp: np.ndarray

    @classmethod
    def of(cls, starts: np.ndarray, ranks: np.ndarray) -> RankResult:
        """From the ranks of the matches, in any order within a query."""
        counts = np.diff(starts)
        query = np.repeat(np.arange(len(counts)), counts)
        ranks = ranks[np.lexsort((ranks, query))]
        nth = np.arange(1, len(ranks) + 1) - starts[:-1][query]
        precision = nth / ranks
        # Precision at the rank just above each match, where only earlier matches count; 1 for a match at rank 1.
        above = np.where(ranks > 1, (nth - 1) / np.maximum(ranks - 1, 1), 1.0)
        first, last = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
        some = counts > 0
        first[some], last[some] = ranks[starts[:-1][some]], ranks[starts[1:][some] - 1]

        def mean(values: np.ndarray) -> np.ndarray:
            sums = np.bincount(query, weights=values, minlength=len(counts))
            return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=some)

        return cls(
            starts=starts,
            ranks=ranks,
            first=first,
            ap=mean(precision),
            ap_trapezoid=mean((above + precision) / 2),
            inp=counts / last,
        )

    def __repr__(self) -> str:
        shown = f"Rank-1 {self.rank1:.2%}, mAP {self.mAP:.2%}" if self.unmatched < len(self) else "nothing to score"
        return f"RankResult({len(self):,} queries, {self.unmatched:,} of them without a match; {shown})"

    def __len__(self) -> int:
        return len(self.first)

    def ranks_of(self, query: int) -> np.ndarray:
        """Ranks of all matches of one query, ascending."""
        return self.ranks[self.starts[query] : self.starts[query + 1]]

    @property
    def unmatched(self) -> int:
        """Queries without a match."""
        return int(np.isnan(self.first).sum())

    def cmc(self, depth: int) -> np.ndarray:
        """Fraction of queries with a match among the first 1, 2, … ``depth`` items: float64 ``(depth,)``."""
        first = self.first[~np.isnan(self.first)]
        if not len(first):
            return np.full(depth, np.nan)
        return np.searchsorted(np.sort(first), np.arange(1, depth + 1), side="right") / len(first)

    @property
    def rank1(self) -> float:
        """Share of the queries whose nearest item is a match."""
        return float(self.cmc(1)[-1])

    @property
    def rank5(self) -> float:
        """Share of the queries with a match among the first 5."""
        return float(self.cmc(5)[-1])

    @property
    def rank10(self) -> float:
        """Share of the queries with a match among the first 10."""
        return float(self.cmc(10)[-1])

    @property
    def rank20(self) -> float:
        """Share of the queries with a match among the first 20."""
        return float(self.cmc(20)[-1])

    @property
    def mAP(self) -> float:
        """Mean of ``ap`` over the queries that have a match."""
        return _mean(self.ap)

    @property
    def mAP_trapezoid(self) -> float:
        """Mean of ``ap_trapezoid``, likewise."""
        return _mean(self.ap_trapezoid)

    @property
    def mINP(self) -> float:
        """Mean of ``inp``, likewise."""
        return _mean(self.inp)

    def scores(self) -> dict[str, float]:
        """The scores as fractions, under their names in ``metrics.json``."""
        return {name: getattr(self, name) for name in ("rank1", "rank5", "rank10", "rank20", "mAP", "mAP_trapezoid", "mINP")}


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
