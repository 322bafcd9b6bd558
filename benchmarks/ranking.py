"""What ``rank`` costs beyond its distances: the size of Market-1501's test with embeddings of 2,048 numbers.

Distances are one matrix product whoever computes them. The rest is compared with sorting the same distances, which is
what ranking takes otherwise. All run on the CPU; the product that ``rank`` is compared with is of one piece, into
memory that is there already. Memory is what a fresh process has of its own while ``rank`` runs, above what it had with
the inputs; the large gallery of 500,000 items of 128 numbers, most of them distractors, is mapped from a file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.faiss_ranking import rank_with_faiss
from reid_srdl.evaluation.tiles import full_precision

from . import Figure, Report, alternate, median_of
from .memory import alone, peak_memory

QUERIES, ITEMS, DIMENSION, PEOPLE, CAMERAS = 3368, 15913, 2048, 751, 6
LARGE_ITEMS, LARGE_DIMENSION = 500_000, 128


def run(repeats: int) -> Report:
    """Times the product, the sorting and ``rank``; measures the memory of ``rank`` for this gallery and for a large one."""
    memory, large_memory = alone(_memory, False), alone(_memory, True)
    query, gallery = drawn(QUERIES, ITEMS, DIMENSION, PEOPLE, CAMERAS)
    distances = torch.empty(QUERIES, ITEMS)
    left, right = torch.from_numpy(query.vectors), torch.from_numpy(gallery.vectors).T

    def product() -> None:
        with full_precision():
            torch.mm(left, right, out=distances)

    tasks: dict[str, Callable[[], object]] = {
        "product": product,
        "argsort": lambda: np.argsort(distances.numpy(), axis=1),
        "rank": lambda: rank(query, gallery, device="cpu"),
    }
    if importlib.util.find_spec("faiss"):
        tasks["faiss"] = lambda: rank_with_faiss(query, gallery)
    seconds = alternate(tasks, repeats)
    figures = [
        Figure("rank beyond the product / argsort", median_of(seconds, lambda product, argsort, rank, **_: (rank - product) / argsort), 0.5),
        # Without a limit: processors that multiply faster than they sort make it larger.
        Figure("rank / product", median_of(seconds, lambda product, rank, **_: rank / product)),
        Figure("memory beyond the inputs", memory / 2**20, 300, "MB"),
        Figure(f"memory with {LARGE_ITEMS:,} items of {LARGE_DIMENSION} numbers", large_memory / 2**20, 300, "MB"),
    ]
    if "faiss" in tasks:
        figures.append(Figure("rank / the faiss engine", median_of(seconds, lambda rank, faiss, **_: rank / faiss)))
    settings = {"queries": QUERIES, "items": ITEMS, "dimension": DIMENSION, "people": PEOPLE, "threads": torch.get_num_threads()}
    return Report(settings, seconds, figures)


def drawn(queries: int, items: int, dimension: int, people: int, cameras: int) -> tuple[Embeddings, Embeddings]:
    """Random queries and a random gallery."""
    rng = np.random.default_rng(0)
    query, gallery = (_embeddings(rng, _vectors(rng, rows, dimension), people, cameras) for rows in (queries, items))
    return query, gallery


@contextlib.contextmanager
def large_gallery(queries: int, items: int, matches: int, dimension: int, people: int, cameras: int) -> Iterator[tuple[Embeddings, Embeddings]]:
    """Random queries and a gallery mapped from a temporary file; ``matches`` of its items show people, the others are distractors."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = np.lib.format.open_memmap(Path(folder) / "gallery.npy", mode="w+", dtype=np.float32, shape=(items, dimension))
        for start in range(0, items, 10_000):
            file[start : start + 10_000] = _vectors(rng, min(10_000, items - start), dimension)
        file.flush()
        labels = np.zeros(items, dtype=np.int64)
        labels[rng.permutation(items)[:matches]] = rng.integers(1, people + 1, matches)
        mapped = np.load(Path(folder) / "gallery.npy", mmap_mode="r")
        gallery = Embeddings(mapped, labels=labels, cameras=rng.integers(1, cameras + 1, items))
        yield _embeddings(rng, _vectors(rng, queries, dimension), people, cameras), gallery


def _vectors(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    return rng.standard_normal((rows, dimension), dtype=np.float32)


def _embeddings(rng: np.random.Generator, vectors: np.ndarray, people: int, cameras: int) -> Embeddings:
    return Embeddings(vectors, labels=rng.integers(1, people + 1, len(vectors)), cameras=rng.integers(1, cameras + 1, len(vectors)))


def _memory(large: bool) -> int:
    """Bytes that ``rank`` takes; to be called in a fresh process, which has no freed memory to use again."""
    if not large:
        query, gallery = drawn(QUERIES, ITEMS, DIMENSION, PEOPLE, CAMERAS)
        return peak_memory(lambda: rank(query, gallery, device="cpu"))
    with large_gallery(QUERIES, LARGE_ITEMS, ITEMS, LARGE_DIMENSION, PEOPLE, CAMERAS) as (query, gallery):
        return peak_memory(lambda: rank(query, gallery, device="cpu"))
