"""Distances between queries and gallery items in tiles of one fixed shape.

Equal gallery vectors must be equally far from a query wherever in the gallery they stand. Kernels of matrix products choose
the order in which they sum by the shapes that they are given, so every product here has the same number of columns: the
last tile is padded with items that do not exist.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar, get_args

import numpy as np
import torch

from ..errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
Metric = Literal["euclidean", "cosine"]

ROWS = {"cpu": 384, "cuda": 2048}
"""The most queries of a block. More of them make the products faster, but then their people fill more tiles, whose distances are kept."""
COLUMNS = {"cpu": 1024, "cuda": 8192}
"""Gallery items of a tile."""
_LOOKED_AT = 1 << 22
"""Numbers whose lengths are computed at a time."""
_LARGEST = 1e37
"""Squared lengths up to this leave room in float32 for the distance."""


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Products in whole float32 inside: no TF32 or bfloat16, whatever the process has allowed for training."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def each(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> list[Result]:
    """The results of the function for each item, in order; on a CPU, items are shared among as many threads as torch has.

    There each product is computed by one thread: tiles are too small to be split further, threads that wait for each other at
    every tile lose much time on a busy machine, and so the sums do not depend on the number of threads.
    """
    if device.type != "cpu":
        return [function(item) for item in items]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()
    finally:
        torch.set_num_threads(threads)


class Tile:
    """A piece of the gallery, and the distances to it, without the term that is the same for all items of a query and changes no order.

    Euclidean: ``|g|^2 - 2 q.g``, the squared distance without ``|q|^2``. Cosine: ``-q.g / |g|``; an item of length 0
    is at a right angle to every query. Leaving the query's own term out saves a rounding.

    Args:
        dimension: D.
        metric: ``euclidean`` or ``cosine``.
        columns: gallery items of a tile.
        device: where the products are computed.
    """

    def __init__(self, dimension: int, metric: Metric, columns: int, device: torch.device) -> None:
        check_metric(metric)
        self.metric, self.columns, self.device = metric, columns, device
        self._host = torch.zeros(columns, dimension)
        self._items = self._host
        self._offsets = torch.empty(columns, device=device)

    def fill(self, vectors: np.ndarray, chosen: np.ndarray, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Fills the tile with the gallery's vectors at ``chosen``, at most ``columns`` of them; the rest of the tile is infinitely far.

        Returns:
            squared lengths ``(columns,)``, which may be given as ``lengths`` when the same vectors are taken again.
        """
        count = len(chosen)
        np.take(vectors, chosen, axis=0, out=self._host.numpy()[:count], mode="clip")  # any other mode copies them twice
        self._host[count:] = 0
        items = self._host.to(self.device)
        if lengths is None:
            lengths = _squared_lengths(items)
            _check_lengths(lengths, "gallery")
        if self.metric == "euclidean":
            self._items, self._offsets = items, lengths.clone()
        else:
            self._items = items / lengths.sqrt().clamp_min(torch.finfo(torch.float32).tiny)[:, None]
            self._offsets = torch.zeros_like(lengths)
        self._offsets[count:] = torch.inf
        return lengths

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances of B queries, as ``as_queries`` makes them, to the items of the tile: ``(B, columns)``."""
        return torch.mm(queries, self._items.T).add_(self._offsets)


def as_queries(vectors: np.ndarray, metric: Metric, device: torch.device) -> torch.Tensor:
    """Query vectors as ``Tile.distances`` takes them, on the device."""
    chosen = torch.from_numpy(vectors)
    _check_lengths(_squared_lengths(chosen), "query")
    return (chosen * (-2 if metric == "euclidean" else -1)).to(device)


def check_metric(metric: str) -> None:
    """Raises ``UserError`` for an unknown metric."""
    if metric not in get_args(Metric):
        raise UserError(f"there is no metric {metric!r}", f"Choose {' or '.join(get_args(Metric))}.")


def check_lengths(vectors: np.ndarray, of: str) -> None:
    """Raises ``UserError`` for vectors whose distances overflow float32, some rows at a time; ``of`` is ``query`` or ``gallery``."""
    step = max(1, _LOOKED_AT // max(1, vectors.shape[1]))
    for start in range(0, len(vectors), step):
        _check_lengths(_squared_lengths(torch.from_numpy(np.require(vectors[start : start + step], requirements="CW"))), of)


def _squared_lengths(vectors: torch.Tensor) -> torch.Tensor:
    """Squared length of each row: ``(B,)``. Some rows at a time: for all at once, most of the time would go into new memory for the squares."""
    return torch.cat([(rows * rows).sum(dim=1) for rows in vectors.split(64 if vectors.device.type == "cpu" else max(1, len(vectors)))])


def _check_lengths(squared: torch.Tensor, of: str) -> None:
    if len(squared) and not float(squared.max()) < _LARGEST:
        raise UserError(f"a {of} vector is too long for distances in float32", "Divide all vectors by the same number. If a network made them it has diverged: train it with a lower --optimiser.rate.")


def ascending(distances: torch.Tensor) -> torch.Tensor:
    """A copy with each row sorted."""
    if distances.device.type == "cpu":
        # numpy sorts the numbers alone, with vector instructions; torch sorts indices along with them.
        return torch.from_numpy(np.sort(distances.numpy(), axis=1))
    return torch.sort(distances, dim=1).values
