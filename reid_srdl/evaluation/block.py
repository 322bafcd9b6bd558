"""A block of queries that is compared with the gallery tile by tile: how many items come before each of its matches."""

from __future__ import annotations

import threading

import numpy as np
import torch

from .layout import Layout
from .tiles import ascending

_KEPT = 8
"""Distances of at most so many tiles are kept when matches are found, so that counting need not compute them again."""
_TIED = 1 << 20
"""Distances that are searched at a time for ties."""


class Block:
    """Finds the matches of its queries in a part of the gallery, and counts what comes before matches there.

    Args:
        layout: of all queries and the part of the gallery.
        rows: which queries.
    """

    def __init__(self, layout: Layout, rows: np.ndarray) -> None:
        self._layout, self.rows, self._lock = layout, rows, threading.Lock()
        self.queries = layout.queries(rows)
        row, place, ignored = layout.pairs(rows)
        self.row, self._place = row[~ignored], place[~ignored]
        self.positions = layout.positions(self._place)
        """Positions of the matches in the whole gallery; ``row`` is the query of each."""
        self._ignored_row, self._ignored_place = row[ignored], place[ignored]
        self._own_tiles = set(np.unique(place // layout.columns).tolist())
        self._kept: dict[int, torch.Tensor] = {}
        self._counted: set[int] = set()

    def find(self) -> np.ndarray:
        """Distances of the matches in this part of the gallery, as ``Tile`` computes them: float32, in the order of ``row``."""
        found = np.empty(len(self._place), dtype=np.float32)
        for number in sorted(self._own_tiles):
            distances = self._layout.tile(number).distances(self.queries)
            here, column = self._within(self._place, number)
            found[here] = distances[self._index(self.row[here]), self._index(column)].cpu().numpy()
            if len(self._kept) < _KEPT:
                self._kept[number] = distances
        return found

    def aim(self, row: np.ndarray, positions: np.ndarray, distances: np.ndarray) -> None:
        """Sets the matches whose nearer items are counted: those in the whole gallery, ascending by row and then by position.

        They are kept in a matrix with a row for each query, as wide as the largest number of matches. Shorter rows are padded with minus
        infinity, which nothing is nearer than.
        """
        counts = np.bincount(row, minlength=len(self.queries))
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape, device = (len(self.queries), int(counts.max(initial=0))), self.queries.device
        self._target = self._index(row), self._index(column)
        self._distances = torch.full(shape, -torch.inf, device=device)
        self._distances[self._target] = torch.from_numpy(distances).to(device)
        self._positions = torch.zeros(shape, dtype=torch.int64, device=device)
        self._positions[self._target] = self._index(positions)
        self._counts = torch.zeros(shape, dtype=torch.int64, device=device)
        # Where in the matrix this part's own matches stand.
        self._column = column[np.searchsorted(row << 32 | positions, self.row << 32 | self.positions)]

    def count_kept(self) -> None:
        """Counts in the tiles whose distances were kept when the matches were found, and frees them."""
        while self._kept:
            self.count(*self._kept.popitem())

    def waits_for(self, number: int) -> bool:
        """Whether the items of a tile are still to be counted."""
        return self._counts.shape[1] > 0 and number not in self._counted

    def count(self, number: int, distances: torch.Tensor) -> None:
        """Adds how many items of a tile come before each match; ``distances`` to its items are changed in place."""
        own = torch.zeros_like(self._counts)
        if number in self._own_tiles:
            ignored, column = self._within(self._ignored_place, number)
            distances[self._index(self._ignored_row[ignored]), self._index(column)] = torch.inf
            here, _ = self._within(self._place, number)
            own[self._index(self.row[here]), self._index(self._column[here])] = 1
        in_order = ascending(distances)
        closer = torch.searchsorted(in_order, self._distances)
        # Where the entry behind the nearer items (and behind the match itself, if it is in this tile) is as far as the match, another item is tied: positions decide.
        tied = (in_order.gather(1, (closer + own).clamp_max(distances.shape[1] - 1)) == self._distances).nonzero()
        positions = self._index(self._layout.positions_in(number)) if len(tied) else self._positions[:0]
        for row, column in (pairs.T for pairs in tied.split(max(1, _TIED // distances.shape[1])) if len(pairs)):
            equal = distances[row, : len(positions)] == self._distances[row, column, None]
            closer[row, column] += (equal & (positions < self._positions[row, column, None])).sum(dim=1)
        with self._lock:
            self._counts += closer
            self._counted.add(number)

    def counts(self) -> np.ndarray:
        """Items before each match, in the order of ``aim``: int64."""
        return self._counts[self._target].cpu().numpy()

    def _within(self, places: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Which of the places lie in a tile, and in which columns of it."""
        column = places - number * self._layout.columns
        here = np.flatnonzero((column >= 0) & (column < self._layout.columns))
        return here, column[here]

    def _index(self, numbers: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(numbers).to(self.queries.device)

