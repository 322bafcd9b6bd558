"""What ``rank`` costs beyond its distances: the size of Market-1501's test with embeddings of 2,048 numbers.

Distances are one matrix product whoever computes them. The rest is compared with sorting the same distances, which is
what ranking takes otherwise. All run on the CPU; the product that ``rank`` is compared with is of one piece, into
memory that is there already. Memory is what a fresh process has of its own (``RssAnon``, every 2 ms) while ``rank`` runs, above what it
had with the inputs; the large gallery of 500,000 items of 128 numbers, most of them distractors, is mapped from a file.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.faiss_ranking import rank_with_faiss
from reid_srdl.evaluation.tiles import full_precision

from . import Figure, Report, alternate, median_of

QUERIES, ITEMS, DIMENSION, PEOPLE, CAMERAS = 3368, 15913, 2048, 751, 6
LARGE_ITEMS, LARGE_DIMENSION = 500_000, 128


def run(repeats: int) -> Report:
    """Times the product, the sorting and ``rank``; measures the memory of ``rank`` for this gallery and for a large one."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memory, large_memory = pool.map(_memory, (False, True), chunksize=1)
    query, gallery = _market()
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


def _vectors(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    return rng.standard_normal((rows, dimension), dtype=np.float32)


def _embeddings(rng: np.random.Generator, rows: int, vectors: np.ndarray) -> Embeddings:
    return Embeddings(vectors, labels=rng.integers(1, PEOPLE + 1, rows), cameras=rng.integers(1, CAMERAS + 1, rows))


def _market() -> tuple[Embeddings, Embeddings]:
    rng = np.random.default_rng(0)
    query, gallery = (_embeddings(rng, rows, _vectors(rng, rows, DIMENSION)) for rows in (QUERIES, ITEMS))
    return query, gallery


def _memory(large: bool) -> int:
    """Bytes that ``rank`` takes; in a process of its own, which has no freed memory to fall back on."""
    if not large:
        query, gallery = _market()
        return peak_memory(lambda: rank(query, gallery, device="cpu"))
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = np.lib.format.open_memmap(Path(folder) / "gallery.npy", mode="w+", dtype=np.float32, shape=(LARGE_ITEMS, LARGE_DIMENSION))
        for start in range(0, LARGE_ITEMS, 10_000):
            file[start : start + 10_000] = _vectors(rng, 10_000, LARGE_DIMENSION)
        file.flush()
        labels = np.zeros(LARGE_ITEMS, dtype=np.int64)
        labels[rng.permutation(LARGE_ITEMS)[:ITEMS]] = rng.integers(1, PEOPLE + 1, ITEMS)
        mapped = np.load(Path(folder) / "gallery.npy", mmap_mode="r")
        gallery = Embeddings(mapped, labels=labels, cameras=rng.integers(1, CAMERAS + 1, LARGE_ITEMS))
        query = _embeddings(rng, QUERIES, _vectors(rng, QUERIES, LARGE_DIMENSION))
        return peak_memory(lambda: rank(query, gallery, device="cpu"))


def peak_memory(task: Callable[[], object]) -> int:
    """Bytes of its own that the process has at most while the task runs, above what it had before (Linux)."""
    before, peak, done = _own_memory(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, _own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        task()
    finally:
        done.set()
        watcher.join()
    return max(0, peak - before)


def _own_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status does not know RssAnon")
