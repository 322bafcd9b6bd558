"""Exact ranks of all matches, without the distance matrix and without sorting the gallery.

The rank of a match is one more than the number of items nearer to the query. So the distances of the matches are found
first, in the tiles that hold them, and then each tile of distances adds, for each match, how many of its items are nearer. Nothing is kept of a tile,
and parts of a gallery may be counted anywhere: their counts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..embeddings import Embeddings
from .block import Block
from .layout import Layout
from .result import RankResult
from .tiles import Metric, each, full_precision


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
        same_camera: images of the query's person by the query's own camera are matches too; cameras are then not needed.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        tile: (most queries, gallery items) of a tile of distances; by default what suits the device.

    Returns:
        ranks of all matches and the scores; a query without a match is NaN there and counted in ``unmatched``.

    Raises:
        UserError: no vectors, different dimensions in query and gallery, labels or cameras that are not known.
    """
    matches, ranks = rank_matches(query, gallery, metric=metric, same_camera=same_camera, device=device, tile=tile)
    return RankResult.of(matches.starts, ranks)


@dataclass(frozen=True, eq=False)
class Matches:
    """The matches of Q queries in a gallery or in a part of one.

    Args:
        starts: int64 ``(Q + 1,)``; those of query i are rows ``starts[i]:starts[i + 1]`` of the other columns.
        positions: in the whole gallery, int64 ``(M,)``, ascending for each query.
        distances: as ``Tile`` computes them, float32 ``(M,)``.
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


def rank_matches(
    query: Embeddings,
    gallery: Embeddings,
    *,
    metric: Metric = "euclidean",
    same_camera: bool = False,
    device: str | torch.device = "auto",
    tile: tuple[int, int] | None = None,
) -> tuple[Matches, np.ndarray]:
    """As ``rank``: which items the matches are, and their ranks from 1, int64 ``(M,)``, in the same order."""
    layout = Layout(query, gallery, metric=metric, same_camera=same_camera, device=device, tile=tile)

    def find(block: Block) -> np.ndarray:
        distances = block.find()
        block.aim(block.row, block.positions, distances)
        block.count_kept()
        return distances

    parts = []
    with full_precision():
        for rows in layout.held_blocks():
            blocks = [Block(layout, some) for some in rows]
            distances = each(find, blocks, layout.device)
            _pass_by(layout, blocks)
            parts += [(block.rows[block.row], block.positions, far, block.counts()) for block, far in zip(blocks, distances, strict=True)]
    of_query, positions, distances, closer = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(of_query, kind="stable")
    return Matches(_starts(of_query, len(query)), positions[order], distances[order]), closer[order] + 1


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
    layout = Layout(query, shard, offset=offset, metric=metric, same_camera=same_camera, device=device, tile=tile)

    def found(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        block = Block(layout, rows)
        return rows[block.row], block.positions, block.find()

    with full_precision():
        parts = each(found, (rows for blocks in layout.held_blocks() for rows in blocks), layout.device)
    of_query, positions, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(of_query, kind="stable")
    return Matches(_starts(of_query, len(query)), positions[order], distances[order])


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
    layout = Layout(query, shard, offset=offset, metric=metric, same_camera=same_camera, device=device, tile=tile)
    counts = np.zeros(len(matches.positions), dtype=np.int64)
    for rows in layout.held_blocks():
        blocks = [Block(layout, some) for some in rows]
        targets = [_targets(matches, some) for some in rows]
        for block, (row, target) in zip(blocks, targets, strict=True):
            block.aim(row, matches.positions[target], matches.distances[target])
        with full_precision():
            _pass_by(layout, blocks)
        for block, (_, target) in zip(blocks, targets, strict=True):
            counts[target] = block.counts()
    return counts


def _pass_by(layout: Layout, blocks: Sequence[Block]) -> None:
    """Counts the nearer items in all tiles, for the matches of all blocks."""

    def count(number: int) -> None:
        waiting = [block for block in blocks if block.waits_for(number)]
        if waiting:
            tile = layout.tile(number)
            for block in waiting:
                block.count(number, tile.distances(block.queries))

    each(count, layout.tiles, layout.device)


def _targets(matches: Matches, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matches of the queries ``rows``: for each its index in ``rows``, and its own row in ``matches``."""
    counts = np.diff(matches.starts)[rows]
    row = np.repeat(np.arange(len(rows)), counts)
    return row, np.arange(len(row)) + np.repeat(matches.starts[rows] - (np.cumsum(counts) - counts), counts)


def _starts(of_query: np.ndarray, queries: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(of_query, minlength=queries))])
