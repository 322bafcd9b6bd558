"""A block of queries while the gallery passes by: how many items come before each of its matches."""

from __future__ import annotations

import threading

import numpy as np
import torch

from .layout import Layout
from .tiles import ascending

_KEPT = 8
"""Products of so many tiles are kept from finding the matches to counting."""
_TIED = 1 << 20
"""Distances that are looked through at a time where some are equal."""


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
        """In the whole gallery, of the matches of the queries ``row``."""
        self._ignored_row, self._ignored_place = row[ignored], place[ignored]
        self._own_tiles = set(np.unique(place // layout.columns).tolist())
        self._kept: dict[int, torch.Tensor] = {}
        self._counted: set[int] = set()

    def find(self) -> np.ndarray:
        """Distances of its matches in this part, as ``Tile`` has them: float32, in the order of ``row``."""
        found = np.empty(len(self._place), dtype=np.float32)
        for number in sorted(self._own_tiles):
            distances = self._layout.tile(number).distances(self.queries)
            here, column = self._within(self._place, number)
            found[here] = distances[self._index(self.row[here]), self._index(column)].cpu().numpy()
            if len(self._kept) < _KEPT:
                self._kept[number] = distances
        return found

    def aim(self, row: np.ndarray, positions: np.ndarray, distances: np.ndarray) -> None:
        """Sets the matches that are counted for: those of the whole gallery, ascending by row and then by position.

        They stand in a matrix whose width is the largest number of matches of a query. Rows with fewer are filled up with matches at
        minus infinity, which nothing is nearer than.
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
        """Counts in the tiles that were multiplied out to find the matches, and lets them go."""
        while self._kept:
            self.count(*self._kept.popitem())

    def waits_for(self, number: int) -> bool:
        """Whether a tile has still to be counted in."""
        return self._counts.shape[1] > 0 and number not in self._counted

    def count(self, number: int, distances: torch.Tensor) -> None:
        """Adds how many items of a tile come before each match; ``distances`` to its items are changed."""
        own = torch.zeros_like(self._counts)
        if number in self._own_tiles:
            ignored, column = self._within(self._ignored_place, number)
            distances[self._index(self._ignored_row[ignored]), self._index(column)] = torch.inf
            here, _ = self._within(self._place, number)
            own[self._index(self.row[here]), self._index(self._column[here])] = 1
        in_order = ascending(distances)
        closer = torch.searchsorted(in_order, self._distances)
        # What stands next is as far as the match itself only if it is another item; its position then says which comes first.
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

