"""Exact ranks of all matches, without the distance matrix and without sorting the gallery.

The rank of a match is one more than the number of items nearer to the query. So the distances of the matches are found
first, and then each tile of distances adds, for each match, how many of its items are nearer. Nothing is kept of a tile,
and parts of a gallery may be counted anywhere: their counts add up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .. import devices
from ..data.records import DISTRACTOR, JUNK
from ..embeddings import Embeddings
from ..errors import UserError
from .result import RankResult
from .tiles import COLUMNS, ROWS, Metric, Tile, as_queries, ascending, each, full_precision

_QUERY_BYTES = 64 << 20
"""Queries up to this many bytes are held on the device while the gallery passes by."""
_FEWEST_ROWS = 16  # products with one row take another way through the libraries


def rank(
    query: Embeddings,
    gallery: Embeddings,
    *,
    metric: Metric = "euclidean",
    same_camera: bool = False,
    device: str | torch.device = "auto",
    tile: tuple[int, int] | None = None,
) -> RankResult:
    """Ranks every match of every query.

    For a query, gallery items with label -1 and those with the query's label and camera do not exist; distractors
    (label 0) do. Items are ordered by distance, equal distances by gallery position.

    Args:
        query: Q vectors with labels and cameras.
        gallery: G vectors with labels and cameras; may be memory-mapped.
        metric: ``euclidean`` (squared, as in faiss: the same order) or ``cosine``.
        same_camera: images of the query's own camera count like all others; cameras are then not needed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        tile: (queries at most, gallery items) a tile of distances; by default what suits the device.

    Returns:
        ranks of all matches and the scores; a query without a match is NaN there and counted in ``unmatched``.

    Raises:
        UserError: no vectors, other dimensions in query and gallery, labels or cameras that are not known.
    """
    choices = {"metric": metric, "same_camera": same_camera, "device": device, "tile": tile}
    matches = find_matches(query, gallery, **choices)
    return RankResult.of(matches.starts, count_closer(query, gallery, matches, **choices) + 1)


@dataclass(frozen=True, eq=False)
class Matches:
    """The matches of Q queries in a gallery or in a part of one.

    Args:
        starts: int64 ``(Q + 1,)``; those of query i are rows ``starts[i]:starts[i + 1]`` of the other columns.
        positions: in the whole gallery, int64 ``(M,)``, ascending for each query.
        distances: as ``Tile`` has them, float32 ``(M,)``.
    """

    starts: np.ndarray
    positions: np.ndarray
    distances: np.ndarray

    @staticmethod
    def merged(parts: Sequence[Matches]) -> Matches:
        """The matches in a gallery from those in its parts."""
        counts = np.stack([np.diff(part.starts) for part in parts])
        query = np.concatenate([np.repeat(np.arange(counts.shape[1]), row) for row in counts])
        positions = np.concatenate([part.positions for part in parts])
        order = np.lexsort((positions, query))
        distances = np.concatenate([part.distances for part in parts])
        return Matches(np.concatenate([[0], np.cumsum(counts.sum(axis=0))]), positions[order], distances[order])


def find_matches(
    query: Embeddings,
    shard: Embeddings,
    *,
    offset: int = 0,
    metric: Metric = "euclidean",
    same_camera: bool = False,
    device: str | torch.device = "auto",
    tile: tuple[int, int] | None = None,
) -> Matches:
    """The matches in a part of the gallery, and how far they are.

    Args:
        query: Q queries.
        shard: consecutive gallery items, the first of which stands at ``offset``.
        offset: position in the whole gallery.
        metric, same_camera, device, tile: as in ``rank``; the same for all parts.
    """
    plan = _Plan(query, shard, metric, same_camera, device, tile)

    def found(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        row, position = plan.pairs(rows, own_camera=False)
        return rows[row], position, plan.distances_of(rows, row, position)

    with full_precision():
        of_query, positions, distances = (np.concatenate(part) for part in zip(*each(found, plan.blocks(), plan.device), strict=True))
    order = np.lexsort((positions, of_query))
    counts = np.bincount(of_query, minlength=len(query))
    return Matches(np.concatenate([[0], np.cumsum(counts)]), positions[order] + offset, distances[order])


def count_closer(
    query: Embeddings,
    shard: Embeddings,
    matches: Matches,
    *,
    offset: int = 0,
    metric: Metric = "euclidean",
    same_camera: bool = False,
    device: str | torch.device = "auto",
    tile: tuple[int, int] | None = None,
) -> np.ndarray:
    """For each match of the whole gallery, the items of a part of it that come before it: int64 ``(M,)``.

    The counts of all parts add up to the rank less one. Arguments as in ``find_matches``, whose merged result ``matches`` is.
    """
    plan = _Plan(query, shard, metric, same_camera, device, tile)
    counts = np.zeros(len(matches.positions), dtype=np.int64)
    for rows_of_blocks in plan.held_blocks():
        blocks = [_Block(plan, rows, matches, offset) for rows in rows_of_blocks]

        def count(start: int, blocks: list[_Block] = blocks) -> None:
            stop = min(start + plan.columns, len(shard))
            piece = plan.tile()
            piece.fill(shard.vectors[start:stop], plan.exists[start:stop])
            for block in blocks:
                block.count(piece, start, stop)

        with full_precision():
            each(count, range(0, len(shard), plan.columns), plan.device)
        for block in blocks:
            counts[block.targets] = block.counted()
    return counts


class _Plan:
    """Which queries are taken together, and which pairs of query and gallery item share a person.

    Queries are taken by label, so that those of a block share few people and their matches fill few tiles.
    """

    def __init__(
        self, query: Embeddings, shard: Embeddings, metric: Metric, same_camera: bool, device: str | torch.device, tile: tuple[int, int] | None
    ) -> None:
        for part, name in ((query, "query"), (shard, "gallery")):
            if not len(part):
                raise UserError(f"the {name} holds no vectors", "There is nothing to rank.")
            if part.labels is None:
                raise UserError(f"the {name} vectors have no labels", "Ranking needs to know who is who: save them with the column labels.")
            if part.cameras is None and not same_camera:
                raise UserError(f"the {name} vectors have no cameras", "Save them with the column cameras, or use --ignore_camera.")
        if query.dimension != shard.dimension:
            raise UserError(f"query vectors have {query.dimension} numbers, gallery vectors {shard.dimension}", "Both must come from the same network.")
        self.query, self.shard, self.metric, self.same_camera = query, shard, metric, same_camera
        self.device = devices.choose(device) if isinstance(device, str) else device
        at_most, self.columns = tile or (ROWS[self.device.type], COLUMNS[self.device.type])
        self.rows = -(-len(query) // -(-len(query) // at_most))
        self.by_label = np.argsort(query.labels, kind="stable")
        self.exists = shard.labels != JUNK
        # Of people alone: distractors, which may be most of the gallery, are nobody's match.
        people = np.flatnonzero(shard.labels > DISTRACTOR)
        self._items = people[np.argsort(shard.labels[people], kind="stable")]
        self._labels = shard.labels[self._items]
        self._tiles = threading.local()

    def tile(self) -> Tile:
        """The one of this thread, to be filled anew: its memory is large, and new memory costs time."""
        if not hasattr(self._tiles, "own"):
            self._tiles.own = Tile(self.query.dimension, self.metric, self.columns, self.device)
        return self._tiles.own

    def blocks(self) -> Iterator[np.ndarray]:
        """Rows of queries."""
        for start in range(0, len(self.query), self.rows):
            yield self.by_label[start : start + self.rows]

    def held_blocks(self) -> Iterator[list[np.ndarray]]:
        """Blocks that fit the device together."""
        together = max(1, _QUERY_BYTES // (4 * self.query.dimension * self.rows))
        blocks = list(self.blocks())
        for start in range(0, len(blocks), together):
            yield blocks[start : start + together]

    def vectors(self, rows: np.ndarray) -> torch.Tensor:
        """The queries of a block; a short block repeats its last, for products whose way of summing is that of a matrix."""
        padded = np.concatenate([rows, np.full(max(0, _FEWEST_ROWS - len(rows)), rows[-1])])
        return as_queries(self.query.vectors[padded], self.metric, self.device)

    def pairs(self, rows: np.ndarray, *, own_camera: bool) -> tuple[np.ndarray, np.ndarray]:
        """(row of the block, position in the part of the gallery) of the images of the same person, ascending by row.

        Either those that are matches, or those that do not exist because the query's own camera took them.
        """
        labels = self.query.labels[rows]
        first, last = (np.searchsorted(self._labels, labels, side=side) for side in ("left", "right"))
        counts = np.where(labels > DISTRACTOR, last - first, 0)
        row = np.repeat(np.arange(len(rows)), counts)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        position = self._items[np.repeat(first, counts) + nth]
        if self.same_camera:
            kept = np.full(len(row), not own_camera)
        else:
            kept = (self.query.cameras[rows][row] == self.shard.cameras[position]) == own_camera
        return row[kept], position[kept]

    def distances_of(self, rows: np.ndarray, row: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Distances of pairs of a block, float32, from tiles made of the items that occur."""
        items, item = np.unique(position, return_inverse=True)
        # By person, so that few tiles hold items of the same block; the order within does not matter.
        items_by_label = np.argsort(self.shard.labels[items], kind="stable")
        place = np.empty_like(items_by_label)
        place[items_by_label] = np.arange(len(items))
        place = place[item]
        result = np.empty(len(row), dtype=np.float32)
        if not len(items):
            return result
        queries, tile = self.vectors(rows), self.tile()
        for start in range(0, len(items), self.columns):
            chosen = items[items_by_label[start : start + self.columns]]
            tile.fill(self.shard.vectors[chosen])
            here = np.flatnonzero((place >= start) & (place < start + len(chosen)))
            index = [torch.from_numpy(part).to(self.device) for part in (row[here], place[here] - start)]
            result[here] = tile.distances(queries)[index[0], index[1]].cpu().numpy()
        return result


class _Block:
    """Queries of one block while the gallery passes by.

    ``k`` is the largest number of matches of one of its queries; those with fewer are filled up with matches at minus
    infinity, which nothing is nearer than.
    """

    def __init__(self, plan: _Plan, rows: np.ndarray, matches: Matches, offset: int) -> None:
        self.offset, self._lock = offset, threading.Lock()
        self.queries = plan.vectors(rows)
        device = self.queries.device
        counts = (matches.starts[1:] - matches.starts[:-1])[rows]
        row = np.repeat(np.arange(len(rows)), counts)
        column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        self.targets = np.repeat(matches.starts[rows], counts) + column
        """Rows of ``matches`` that belong here."""
        positions = matches.positions[self.targets]
        shape = len(self.queries), int(counts.max(initial=0))
        self._row, self._column = torch.from_numpy(row).to(device), torch.from_numpy(column).to(device)
        self._distances = torch.full(shape, -torch.inf, device=device)
        self._distances[self._row, self._column] = torch.from_numpy(matches.distances[self.targets]).to(device)
        self._just_above = torch.nextafter(self._distances, torch.tensor(torch.inf, device=device))
        self._positions = torch.full(shape, -1, dtype=torch.int64, device=device)
        self._positions[self._row, self._column] = torch.from_numpy(positions).to(device)
        self._counts = torch.zeros(shape, dtype=torch.int64, device=device)
        self._by_position = np.argsort(positions, kind="stable")
        self._sorted_positions = positions[self._by_position]
        ignored_row, ignored = plan.pairs(rows, own_camera=True)
        order = np.argsort(ignored, kind="stable")
        self._ignored_row, self._ignored = ignored_row[order], ignored[order]

    def count(self, tile: Tile, start: int, stop: int) -> None:
        """Adds what the tile of items ``start`` to ``stop`` of the part holds before each match."""
        if not self._counts.shape[1]:
            return
        distances = tile.distances(self.queries)
        low, high = np.searchsorted(self._ignored, (start, stop))
        if high > low:
            flat = self._ignored_row[low:high] * tile.columns + (self._ignored[low:high] - start)
            distances.view(-1)[torch.from_numpy(flat).to(distances.device)] = torch.inf
        # All of the tile stands before a match of a later tile, so that there items as far as the match count too.
        later = self._positions >= self.offset + stop
        in_order = ascending(distances)
        closer = torch.searchsorted(in_order, torch.where(later, self._just_above, self._distances))
        low, high = np.searchsorted(self._sorted_positions, (self.offset + start, self.offset + stop))
        if high > low:
            self._settle_own_tile(distances, in_order, closer, torch.from_numpy(self._by_position[low:high]).to(distances.device), start)
        with self._lock:
            self._counts += closer

    def _settle_own_tile(self, distances: torch.Tensor, in_order: torch.Tensor, closer: torch.Tensor, here: torch.Tensor, start: int) -> None:
        """Corrects the counts of the matches that stand in this very tile, at which equal ones may stand before and after."""
        row, column = self._row[here], self._column[here]
        own, position = self._distances[row, column], self._positions[row, column] - self.offset - start
        nearer = closer[row, column]
        # Where a library's products do depend on the place, a match might come out nearer than itself.
        nearer -= (distances[row, position] < own).long()
        beside = in_order[row, (nearer + 1).clamp_max(distances.shape[1] - 1)] == own
        tied = beside.nonzero()[:, 0]
        if len(tied):
            places = torch.arange(distances.shape[1], device=distances.device)
            for some in tied.split(max(1, (1 << 22) // distances.shape[1])):
                equal = distances[row[some]] == own[some, None]
                nearer[some] += (equal & (places < position[some, None])).sum(dim=1)
        closer[row, column] = nearer

    def counted(self) -> np.ndarray:
        """Items before each of ``targets``."""
        return self._counts[self._row, self._column].cpu().numpy()
