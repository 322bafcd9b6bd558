"""From embeddings to CMC and mAP, distances included, beside what others do: the size of Market-1501's test.

torchreid multiplies out all distances, sorts each row with its indices, and walks the rows in Python, or in Cython where that is
compiled. The loop of ``argsort`` is what people write themselves. torchmetrics knows no cameras and has no CMC, so it is
handed the pairs that exist, and scores mAP alone. The floor is the product of all vectors in one piece, into memory that is there
already. Nobody goes below it: somebody's ratio to the product is the most that ``rank`` could ever be faster than they are, and where
a processor multiplies slowly, all are closer to each other. Where walking the rows is slow, a share of them is walked each round and
counted up; the distances are always all. All run on the CPU.

Vectors drawn by chance are rounded otherwise by everybody, and the nearest of 15,913 are then not always the same. So scores are
compared on whole numbers, whose distances are exact however they are summed, and with ties settled as ``rank`` settles them.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.evaluation.tiles import full_precision

from . import Figure, Report, Seconds, alternate, median_of, now, peers
from .memory import MB, alone, peak_memory
from .ranking import drawn, large_gallery

DEPTH = 50
"""Ranks of the CMC curve."""

Scores = tuple[np.ndarray | None, float]
"""CMC, where there is one, and mAP."""


@dataclass(frozen=True)
class Setup:
    """What is ranked.

    Args:
        queries, items, dimension, people, cameras: of the random vectors.
        large: items of the large gallery in the comparison of memory, most of them distractors.
        large_dimension: of the vectors in that comparison.
        share: queries that are scored in a round where that is slow.
    """

    queries: int = 3368
    items: int = 15913
    dimension: int = 2048
    people: int = 751
    cameras: int = 6
    large: int = 515_913
    large_dimension: int = 256
    share: int = 200


@dataclass(frozen=True)
class Peer:
    """Another way from distances to scores.

    Args:
        score: computes the scores from distances float32 ``(Q, G)``, queries and gallery.
        least: how many times faster ``rank`` should be, the distances included in both.
        slow: whether only a share of the queries is scored, and the time multiplied.
    """

    score: Callable[[np.ndarray, Embeddings, Embeddings], Scores]
    least: float | None = None
    slow: bool = False


def run(repeats: int, setup: Setup = Setup()) -> Report:
    """Times and scores all peers that are installed, and measures the memory of each in a process of its own."""
    seconds, figures = times(repeats, setup)
    settings = {**dataclasses.asdict(setup), "threads": torch.get_num_threads(), "cython": known()[1]}
    return Report(settings, seconds, figures + memory(setup))


def times(repeats: int, setup: Setup) -> tuple[dict[str, list[float]], list[Figure]]:
    """Seconds of ``rank``, the product and each peer, and the figures on time and scores."""
    others, _ = known()
    query, gallery = drawn(setup.queries, setup.items, setup.dimension, setup.people, setup.cameras)
    floor = torch.empty(setup.queries, setup.items)

    def product() -> None:
        with full_precision():
            torch.mm(torch.from_numpy(query.vectors), torch.from_numpy(gallery.vectors).T, out=floor)

    tasks: dict[str, Callable[[], object]] = {"rank": lambda: rank(query, gallery, device="cpu"), "product": product}
    tasks |= {name: partial(timed, peer, query, gallery, setup.share) for name, peer in others.items()}
    seconds = alternate(tasks, repeats)
    figures = [Figure("rank / the product alone", median_of(seconds, lambda rank, product, **_: rank / product), 1.4)]
    for name, peer in others.items():
        figures.append(Figure(f"{name} / rank", median_of(seconds, lambda name=name, **of: of[name] / of["rank"]), least=peer.least))
        figures.append(Figure(f"{name} / the product alone", median_of(seconds, lambda name=name, **of: of[name] / of["product"])))
    figures += [Figure(f"scores, largest difference from {name}", value, 1e-6) for name, value in differences(others, setup).items()]
    return seconds, figures


def memory(setup: Setup) -> list[Figure]:
    """The memory of each, measured in a process of its own; of the two sizes that are compared, the median of three."""
    taken = {name: alone(memory_of, name, setup) / MB for name in ("rank", *known()[0])}
    # Which threads hold their tiles at the same moment differs from process to process, and with it the peak.
    small, large = (statistics.median(alone(memory_by_size, items, setup) / MB for _ in range(3)) for items in (setup.items, setup.large))
    return [
        *(Figure(f"memory beyond the inputs: {name}", value, unit="MB") for name, value in taken.items()),
        Figure(f"memory of rank with {setup.items:,} items", small, unit="MB"),
        Figure(f"the same with {setup.large:,} / with {setup.items:,}", large / small, 1.0),
    ]


def known() -> tuple[dict[str, Peer], str]:
    """The peers that are installed, by name, and where torchreid's Cython comes from."""
    others = {"torchreid, Python": Peer(torchreid_python, 20, slow=True), "argsort, row by row": Peer(argsort_loop, 1.8)}
    compiled, where = peers.cython_evaluator()
    if compiled:
        others["torchreid, Cython"] = Peer(torchreid_cython, 2.5)
    if importlib.util.find_spec("torchmetrics"):
        others["torchmetrics, mAP alone"] = Peer(torchmetrics_map, slow=True)
    return others, where


# --- everybody's way ---------------------------------------------------------------------------------------------


def torchreid_python(distances: np.ndarray, query: Embeddings, gallery: Embeddings) -> Scores:
    evaluate = peers.torchreid("metrics.rank").evaluate_rank
    return evaluate(distances, query.labels, gallery.labels, query.cameras, gallery.cameras, max_rank=DEPTH, use_cython=False)


def torchreid_cython(distances: np.ndarray, query: Embeddings, gallery: Embeddings) -> Scores:
    evaluate, _ = peers.cython_evaluator()
    return evaluate(distances, query.labels, gallery.labels, query.cameras, gallery.cameras, DEPTH, False)


def argsort_loop(distances: np.ndarray, query: Embeddings, gallery: Embeddings) -> Scores:
    first, precisions = [], []
    for row, label, camera in zip(distances, query.labels, query.cameras, strict=True):
        order = np.argsort(row)
        labels = gallery.labels[order]
        there = (labels != label) | (gallery.cameras[order] != camera)
        ranks = np.flatnonzero(labels[there] == label) + 1
        if len(ranks):
            first.append(ranks[0])
            precisions.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return np.searchsorted(np.sort(first), np.arange(1, DEPTH + 1), side="right") / len(first), float(np.mean(precisions))


def torchmetrics_map(distances: np.ndarray, query: Embeddings, gallery: Embeddings) -> Scores:
    from torchmetrics.functional.retrieval import retrieval_average_precision

    precisions = []
    for row, label, camera in zip(distances, query.labels, query.cameras, strict=True):
        there = (gallery.labels != label) | (gallery.cameras != camera)
        target = torch.from_numpy(gallery.labels[there] == label)
        nearness = row.max() + 1 - row  # there a value that is not above 0 never counts as right
        if target.any():
            precisions.append(float(retrieval_average_precision(torch.from_numpy(nearness[there]), target)))
    return None, float(np.mean(precisions))


# --- time, scores, memory ----------------------------------------------------------------------------------------


def timed(peer: Peer, query: Embeddings, gallery: Embeddings, share: int) -> Seconds:
    """Seconds that a peer takes for all queries, distances and scores; a slow one's scores are extrapolated from ``share`` queries."""
    began = now()
    distances = all_distances(query, gallery)
    multiplied = now()
    rows = min(share, len(query)) if peer.slow else len(query)
    with peers.silence():
        peer.score(distances[:rows], query.take(np.arange(rows)) if peer.slow else query, gallery)
    return Seconds(multiplied - began + (now() - multiplied) * len(query) / rows)


def all_distances(query: Embeddings, gallery: Embeddings) -> np.ndarray:
    """The matrix of distances ``(Q, G)``, as torchreid computes it."""
    distance = peers.torchreid("metrics.distance").compute_distance_matrix
    with full_precision():
        return distance(torch.from_numpy(query.vectors), torch.from_numpy(gallery.vectors)).numpy()


def differences(others: dict[str, Peer], setup: Setup) -> dict[str, float]:
    """The largest difference of mAP and of the CMC curve from those of ``rank``."""
    query, gallery = drawn(setup.queries, setup.items, 32, setup.people, setup.cameras)
    query, gallery = (dataclasses.replace(part, vectors=np.rint(64 * part.vectors)) for part in (query, gallery))
    found = {}
    for name, peer in others.items():
        some = query.take(np.arange(min(setup.share, len(query)))) if peer.slow else query
        # Distances are replaced by places in a stable order, so that there are no ties left.
        order = np.argsort(all_distances(some, gallery), axis=1, kind="stable")
        places = np.empty(order.shape, dtype=np.float32)
        np.put_along_axis(places, order, np.arange(len(gallery), dtype=np.float32)[None], axis=1)
        with peers.silence():
            cmc, mean = peer.score(places, some, gallery)
        ours = rank(some, gallery, device="cpu")
        found[name] = max(abs(mean - ours.mAP), 0.0 if cmc is None else float(np.abs(cmc - ours.cmc(DEPTH)).max()))
    return found


def memory_of(name: str, setup: Setup) -> int:
    """Bytes beyond the vectors; to be called in a fresh process."""
    query, gallery = drawn(setup.queries, setup.items, setup.dimension, setup.people, setup.cameras)
    if name == "rank":
        return peak_memory(lambda: rank(query, gallery, device="cpu"))
    peer = known()[0][name]
    all_distances(query.take(np.arange(2)), gallery)  # imports
    with peers.silence():
        return peak_memory(lambda: peer.score(all_distances(query, gallery), query, gallery))


def memory_by_size(items: int, setup: Setup) -> int:
    """Bytes that ``rank`` takes with a gallery of ``items``; to be called in a fresh process."""
    with large_gallery(setup.queries, items, setup.items, setup.large_dimension, setup.people, setup.cameras) as (query, gallery):
        return peak_memory(lambda: rank(query, gallery, device="cpu"))
