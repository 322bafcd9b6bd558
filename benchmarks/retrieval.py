"""The two backends of an index side by side: faiss in memory, and Milvus Lite behind its own little server.

``python -m benchmarks retrieval`` takes vectors drawn by chance. Embeddings of one's own are taken by::

    python -m benchmarks.retrieval QUERY.npz GALLERY.npz [--queries N] [--top_k K] [--uri URI] [--repeats R]

which first compares what both find for all queries, and how often the first hit is right by the rule of the field; N queries are then
timed. With ``--uri`` a Milvus server stands in the place of Milvus Lite; its collection ``benchmark`` is built anew.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from reid_srdl import embeddings
from reid_srdl.data.matches import IGNORED, MATCH, states
from reid_srdl.embeddings import Embeddings
from reid_srdl.retrieval import Hits, Index, create_index

from . import Figure, Report, above_zero, alternate, median_of, script

QUERIES, ITEMS, DIMENSION, CAMERAS, TOP_K = 32, 4000, 512, 6, 20
_DEEP = 200
_CLOSE = 1e-4
"""Relative difference of two distances up to which rounding may be the cause."""


def run(repeats: int) -> Report:
    """Times both on vectors drawn by chance; faiss alone where pymilvus is not installed."""
    rng = np.random.default_rng(0)
    query, gallery = (
        Embeddings(rng.standard_normal((rows, DIMENSION), dtype=np.float32), cameras=rng.integers(1, CAMERAS + 1, rows)) for rows in (QUERIES, ITEMS)
    )
    with indices(gallery) as built:
        return timed(built, query, repeats)


@contextlib.contextmanager
def indices(gallery: Embeddings, uri: str | None = None) -> Iterator[dict[str, Index]]:
    """Inside: an index of the gallery by each backend that is installed, in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_ones:
        built: dict[str, Index] = {}
        for backend, needs in (("faiss", "faiss"), ("milvus", "pymilvus")):
            if importlib.util.find_spec(needs):
                more = {"uri": uri, "collection": "benchmark", "replace": True} if backend == "milvus" else {}
                built[backend], _ = create_index(Path(folder) / f"{backend}.index", gallery, backend=backend, **more)
                open_ones.callback(built[backend].close)
        yield built


def timed(built: dict[str, Index], query: Embeddings, repeats: int, top_k: int = TOP_K) -> Report:
    """Times searches for all queries together, one by one, and with a camera filter."""
    vectors = query.vectors

    def one_by_one(index: Index) -> None:
        for row in range(len(vectors)):
            index.search(vectors[row : row + 1], top_k)

    tasks = {}
    for name, index in built.items():
        tasks[f"{name}, together"] = lambda index=index: index.search(vectors, top_k)
        tasks[f"{name}, one by one"] = lambda index=index: one_by_one(index)
        tasks[f"{name}, one camera"] = lambda index=index: index.search(vectors, top_k, [1])
    seconds = alternate(tasks, repeats)
    figures = [
        Figure(f"{name}, one query at a time", 1000 * float(np.median(seconds[f"{name}, one by one"])) / len(vectors), unit="ms") for name in built
    ]
    if len(built) == 2:
        for how in ("together", "one by one", "one camera"):
            figures.append(Figure(f"milvus / faiss, {how}", median_of(seconds, lambda how=how, **of: of[f"milvus, {how}"] / of[f"faiss, {how}"])))
    settings = {"queries": len(query), "items": len(next(iter(built.values()))), "dimension": query.dimension, "top_k": top_k}
    return Report(settings, seconds, figures)


def differing(one: Hits, other: Hits, top_k: int) -> int:
    """The number of queries for which two backends differ in their first ``top_k`` hits by more than the order of nearly equal distances."""
    count = 0
    for row in range(len(one)):
        unlike = np.flatnonzero(one.paths[row, :top_k] != other.paths[row, :top_k])
        far, near = one.distances[row, unlike], other.distances[row, unlike]
        count += bool((np.abs(far - near) > _CLOSE * np.maximum(far, 1e-6)).any())
    return count


def first_right(hits: Hits, query: Embeddings, gallery: Embeddings) -> float:
    """Rank-1: how often the first hit that exists for the query is the same person, among queries that have a match.

    Images of the query's own person and camera do not exist for it; there must be more hits than the query has such images.
    """
    state = np.stack([states(query.labels[row : row + 1], query.cameras[row : row + 1], hits.labels[row], hits.cameras[row])[0] for row in range(len(query))])
    matches = [bool(((gallery.labels == label) & (gallery.cameras != camera)).any()) for label, camera in zip(query.labels, query.cameras, strict=True)]
    first = np.take_along_axis(state, (state != IGNORED).argmax(axis=1)[:, None], axis=1)[:, 0]
    return float((first[matches] == MATCH).mean())


def main(argv: list[str]) -> int:
    """The benchmark with embeddings of one's own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description="faiss and Milvus side by side.")
    parser.add_argument("files", nargs=2, metavar="FILE", help="embeddings of queries, and of the gallery (.npz or .parquet)")
    parser.add_argument("--queries", type=int, default=QUERIES, help=f"queries that are timed (default {QUERIES})")
    parser.add_argument("--top_k", type=int, default=TOP_K, help=f"hits a query (default {TOP_K})")
    parser.add_argument("--uri", help="of a Milvus server, or of Milvus Lite (default: one that goes away)")
    parser.add_argument("--repeats", type=above_zero, default=5, help="rounds that are timed (default 5)")
    options = parser.parse_args(argv)
    query, gallery = embeddings.load_pair(options.files)
    from .__main__ import show

    began = time.perf_counter()
    with indices(gallery, options.uri) as built:
        print(f"{', '.join(built)}: {len(gallery):,} images in {time.perf_counter() - began:.1f} s")
        found = {name: index.search(query.vectors, max(options.top_k, _DEEP)) for name, index in built.items()}
        if len(found) == 2:
            print(f"{differing(*found.values(), options.top_k):,} of {len(query):,} queries differ in their first {options.top_k}, ties aside")
        if query.labels is not None and gallery.labels is not None and query.cameras is not None and gallery.cameras is not None:
            for name, hits in found.items():
                print(f"{name}: Rank-1 {first_right(hits, query, gallery):.6f}")
        some = query.take(np.arange(min(options.queries, len(query))))
        show("retrieval", timed(built, some, options.repeats, options.top_k))
    return 0


if __name__ == "__main__":
    script(main)
