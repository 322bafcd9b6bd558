"""The order in which queries and gallery are compared: images of a person are next to each other on both sides.

So the matches of a block of queries lie in few tiles, whose products the block needs anyway, and no product is
computed for them alone. The order changes no rank: ties are settled by the items' positions in the gallery.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from .. import devices
from ..data.records import DISTRACTOR, JUNK
from ..embeddings import Embeddings
from ..errors import UserError
from .columns import require, require_one_dimension
from .tiles import COLUMNS, ROWS, Metric, Tile, as_queries

_QUERY_BYTES = 64 << 20
"""Queries up to this many bytes are held on the device while all tiles of the gallery are compared with them."""
_CHUNK = 1 << 16
"""Labels that are looked at together, so that a large gallery takes no memory for each of its items."""
_FEWEST_ROWS = 16  # libraries compute products with a single row by other routines


class Layout:
    """Q queries in blocks, and the items of a part of the gallery in tiles.

    Tiles hold first the images of people whom queries show, by label, and then all others, by position. Junk is in no tile, since
    it does not exist for any query.

    Args:
        query, shard, metric, same_camera, device, tile: as in ``ranking.find_matches``.
        offset: position in the whole gallery where the part begins.

    Raises:
        UserError: no vectors, other dimensions in query and gallery, labels or cameras that are not known.
    """

    def __init__(
        self,
        query: Embeddings,
        shard: Embeddings,
        *,
        offset: int = 0,
        metric: Metric = "euclidean",
        same_camera: bool = False,
        device: str | torch.device = "auto",
        tile: tuple[int, int] | None = None,
    ) -> None:
        require(query, shard, same_camera=same_camera)
        for part, name in ((query, "query"), (shard, "gallery")):
            if not len(part):
                raise UserError(f"the {name} holds no vectors", "There is nothing to rank.")
        require_one_dimension(query, shard)
        self.query, self.shard, self.offset, self.metric, self.same_camera = query, shard, offset, metric, same_camera
        self.device = devices.choose(device) if isinstance(device, str) else device
        at_most, self.columns = tile or (ROWS[self.device.type], COLUMNS[self.device.type])
        self._rows = -(-len(query) // -(-len(query) // at_most))
        self._by_label = np.argsort(query.labels, kind="stable")
        sought = np.unique(query.labels[query.labels > DISTRACTOR])
        people = np.concatenate(list(_positions(shard.labels, sought)))
        self._people = people[np.argsort(shard.labels[people], kind="stable")]
        self._labels = shard.labels[self._people]
        # The others may be nearly all items, so instead of a number for each, only where each tile of them begins is kept.
        self._not_others = np.union1d(sought, JUNK)
        nth = np.maximum(np.arange(-(-len(shard) // self.columns) + 1) * self.columns - len(people), 0)
        self._begins, others = _places_of(nth, _positions(shard.labels, self._not_others, invert=True), len(shard))
        self.tiles = range(-(-(len(people) + others) // self.columns))
        self._tile_of_thread = threading.local()
        self._lengths: dict[int, torch.Tensor] = {}

    def held_blocks(self) -> Iterator[list[np.ndarray]]:
        """Lists of blocks (rows of queries each), as many at a time as are held on the device together."""
        together = max(1, _QUERY_BYTES // (4 * self.query.dimension * self._rows))
        blocks = [self._by_label[start : start + self._rows] for start in range(0, len(self.query), self._rows)]
        for start in range(0, len(blocks), together):
            yield blocks[start : start + together]

    def queries(self, rows: np.ndarray) -> torch.Tensor:
        """The vectors of a block; a very short one is padded by repeating its last, so that its products sum in the same order as those of a matrix."""
        padded = np.concatenate([rows, np.full(max(0, _FEWEST_ROWS - len(rows)), rows[-1])])
        return as_queries(self.query.vectors[padded], self.metric, self.device)

    def pairs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gallery images of the queries' people: for each the row in the block, its place among all tiles, and whether the query's own camera took it.

        Ascending by row, and for each row by position. Those by the query's own camera do not exist for it; the others are its matches.
        """
        labels = self.query.labels[rows]
        first, last = (np.searchsorted(self._labels, labels, side=side) for side in ("left", "right"))
        counts = last - first  # 0 for a query that is a distractor or junk: it has no matches
        row = np.repeat(np.arange(len(rows)), counts)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
        if self.same_camera:
            return row, place, np.zeros(len(row), dtype=bool)
        return row, place, self.query.cameras[rows][row] == self.shard.cameras[self._people[place]]

    def positions(self, places: np.ndarray) -> np.ndarray:
        """Positions in the whole gallery of people's images, which are given by their places among all tiles."""
        return self.offset + self._people[places]

    def positions_in(self, number: int) -> np.ndarray:
        """Positions in the whole gallery of the items of a tile: at most ``columns``."""
        return self.offset + self._items_of(number)

    def _items_of(self, number: int) -> np.ndarray:
        people = self._people[number * self.columns : (number + 1) * self.columns]
        begins, ends = self._begins[number], self._begins[number + 1]
        others = _positions(self.shard.labels[begins:ends], self._not_others, invert=True)
        return np.concatenate([people, *(begins + some for some in others)])

    def tile(self, number: int) -> Tile:
        """This thread's ``Tile``, filled with the items of tile ``number``; it is reused, since it is large and new memory costs time."""
        if not hasattr(self._tile_of_thread, "own"):
            self._tile_of_thread.own = Tile(self.query.dimension, self.metric, self.columns, self.device)
        tile = self._tile_of_thread.own
        lengths = tile.fill(self.shard.vectors, self._items_of(number), self._lengths.get(number))
        if number * self.columns < len(self._labels):  # tiles of people are filled more than once
            self._lengths[number] = lengths
        return tile


def _positions(labels: np.ndarray, known: np.ndarray, *, invert: bool = False) -> Iterator[np.ndarray]:
    """Indices, ascending and some at a time, of the labels that are among the known ones; inverted of those that are not."""
    for start in range(0, len(labels), _CHUNK):
        yield start + np.flatnonzero(np.isin(labels[start : start + _CHUNK], known, invert=invert))


def _places_of(nth: np.ndarray, positions: Iterable[np.ndarray], none: int) -> tuple[np.ndarray, int]:
    """The n-th of all positions, counted from 0, for each n in ``nth``, ``none`` where there are fewer; and how many there are."""
    found, before = np.full(len(nth), none), 0
    for some in positions:
        here = (nth >= before) & (nth < before + len(some))
        found[here] = some[nth[here] - before]
        before += len(some)
    return found, before
