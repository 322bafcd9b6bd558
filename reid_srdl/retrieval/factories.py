"""Kinds of faiss index by their factory strings: which are known here, how they are trained, searched, and emptied."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError
from ..evaluation.flat_index import load_faiss
from .index import Track

DEFAULT = "Flat"
_KNOWN = "Flat, SQ8, HNSW32, IVF256,Flat, IVF4096,PQ64 or IVF1024,SQ8, with PCA128, or OPQ64, before them"
_TOO_SMALL = re.compile(r"(?<!\d)0+(?!\d)|HNSW0*1(?!\d)")
"""Numbers in a factory string that faiss accepts, and then divides by or fills the memory with."""
_BLOCK = 10_000
_WALK = 4
"""How many distances of a plain scan one step in a graph costs."""
_ROTATION_BITS = 8
"""Bits of the codes that OPQ trains its rotation with, whatever those of the index have."""
_PER_CENTRE = 39
"""Training points for each centre below which faiss warns that centres are poor."""


@dataclass(frozen=True)
class Kind:
    """The properties of a kind of faiss index.

    Args:
        family: ``flat``, ``graph`` (HNSW) or ``lists`` (IVF).
        exact: whether the k nearest are found for certain.
        true_distances: whether vectors are stored as they are.
        effort: how much is looked at for each query by default: lists, or candidates in a graph; 0 where there is no such choice.
    """

    family: str
    exact: bool
    true_distances: bool
    effort: int


def make(factory: str, dimension: int) -> Any:
    """An untrained index of faiss by the squared Euclidean distance.

    Raises:
        UserError: faiss is not installed, does not know the string, or the kind lacks what is needed here: to filter and to delete.
    """
    faiss = load_faiss()
    if _TOO_SMALL.search(factory):
        raise UserError(f"an index {factory!r} is of a number that is too small", f"HNSW has 2 links or more, and all other numbers are above 0. Known here: {_KNOWN}.")
    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_L2)
        kind_of(index)
        return index
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"faiss makes no index {factory!r} of {dimension} numbers ({_reason(error)})", f"Known here: {_KNOWN}.") from None
    except TypeError as error:
        raise UserError(f"an index {factory!r} {error}", f"Known here: {_KNOWN}.") from None


def kind_of(index: Any) -> Kind:
    """The kind of a faiss index. Raises ``TypeError`` for kinds that cannot be used here; its message completes the sentence "an index …"."""
    faiss = load_faiss()
    inner, plain = _inner(index), not isinstance(index, faiss.IndexPreTransform)
    name = type(inner).__name__
    if name == "IndexFlat" or name == "IndexFlatL2":
        return Kind("flat", exact=plain, true_distances=plain, effort=0)
    if name == "IndexScalarQuantizer":
        return Kind("flat", exact=False, true_distances=False, effort=0)
    if name in ("IndexHNSWFlat", "IndexHNSWSQ"):
        return Kind("graph", exact=False, true_distances=plain and name == "IndexHNSWFlat", effort=64)
    if name in ("IndexIVFFlat", "IndexIVFPQ", "IndexIVFScalarQuantizer"):
        return Kind("lists", exact=False, true_distances=plain and name == "IndexIVFFlat", effort=max(1, round(2 * math.sqrt(inner.nlist))))
    raise TypeError("cannot be filtered by camera, or cannot forget")


def _inner(index: Any) -> Any:
    """The index behind transformations of the vectors. Raises ``TypeError`` for transformations that change distances."""
    faiss = load_faiss()
    for step in _steps(index):
        if not isinstance(step, faiss.LinearTransform) or getattr(step, "eigen_power", 0):  # a PCA that whitens
            raise TypeError("changes distances before it compares")
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index


def _steps(index: Any) -> list[Any]:
    """The transformations of vectors that come before the index."""
    faiss = load_faiss()
    if not isinstance(index, faiss.IndexPreTransform):
        return []
    return [faiss.downcast_VectorTransform(index.chain.at(number)) for number in range(index.chain.size())]


def train(index: Any, vectors: np.ndarray, factory: str) -> str | None:
    """Trains an index that needs it; returns a remark where there were few vectors for that.

    Raises:
        UserError: fewer vectors than centres.
    """
    faiss = load_faiss()
    inner = _inner(index)
    if index.is_trained:
        _hands_out_vectors(inner)
        return None
    lists = inner.nlist if isinstance(inner, faiss.IndexIVF) else 1
    codes = 1 << inner.pq.nbits if isinstance(inner, faiss.IndexIVFPQ) else 1
    rotations = [(step, faiss.ProductQuantizer(step.d_out, step.M, _ROTATION_BITS)) for step in _steps(index) if isinstance(step, faiss.OPQMatrix) and step.d_out % step.M == 0]
    codes = max(codes, 1 << _ROTATION_BITS) if rotations else codes
    need = max(lists, codes, index.d if isinstance(index, faiss.IndexPreTransform) else 1)
    if len(vectors) < need:
        fits = max(1, min(len(vectors) // _PER_CENTRE, 4 * math.isqrt(len(vectors))))
        raise UserError(f"{len(vectors):,} images are too few to train {factory!r}, which needs {need:,}", f"Leave the factory out (exact), or take one such as IVF{fits},Flat.")
    quantizers = [getattr(inner, "pq", None), *(quantizer for _, quantizer in rotations)]
    for clustering in (part for part in (getattr(inner, "cp", None), *(getattr(quantizer, "cp", None) for quantizer in quantizers)) if part is not None):
        clustering.min_points_per_centroid = 1  # otherwise faiss warns for every part of the vectors; the remark below says it once
    for step, quantizer in rotations:
        step.pq = quantizer  # otherwise it makes its own, with the same warnings
    if isinstance(inner, faiss.IndexIVFPQ):
        inner.do_polysemous_training = False  # minutes of annealing, only of use for search by Hamming distance, which is not offered here
    try:
        index.train(vectors)
    except RuntimeError as error:
        raise UserError(f"faiss could not train {factory!r}: {_reason(error)}", f"Known here: {_KNOWN}.") from None
    finally:
        for step, _ in rotations:
            step.pq = None  # faiss does not keep the Python object alive
    _hands_out_vectors(inner)
    if len(vectors) < _PER_CENTRE * max(lists, codes):
        return f"{factory} was trained on {len(vectors):,} images; from {_PER_CENTRE * max(lists, codes):,} on its centres are good."
    return None


def _hands_out_vectors(inner: Any) -> None:
    """Lets an index of lists hand out vectors by their numbers."""
    faiss = load_faiss()
    if isinstance(inner, faiss.IndexIVF):
        inner.set_direct_map_type(faiss.DirectMap.Hashtable)


def add(index: Any, vectors: np.ndarray, places: np.ndarray, track: Track = iter) -> None:
    """Adds vectors under the numbers ``places``, which continue those assigned before."""
    lists = kind_of(index).family == "lists"
    for start in track(range(0, len(vectors), _BLOCK)):
        some = np.ascontiguousarray(vectors[start : start + _BLOCK])
        if lists:
            index.add_with_ids(some, places[start : start + _BLOCK])
        else:
            index.add(some)


def search(index: Any, queries: np.ndarray, depth: int, allowed: np.ndarray | None, effort: int, *, dead: int = 0, thorough: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(distances, places), both ``(Q, depth)``; place -1 where nothing was found.

    Args:
        index: of faiss.
        queries: float32 ``(Q, D)``.
        depth: hits a query.
        allowed: a mask over places; none allows all.
        effort: lists, or candidates in the graph, that are looked at.
        dead: number of deleted vectors in a graph. They count among the candidates, and all of them may lie near the query.
        thorough: look at everything that is allowed, whatever the effort, since a few allowed ones may lie anywhere.

    Where an approximate search comes back with fewer than ``depth``, those queries are searched thoroughly.
    """
    faiss = load_faiss()
    inner = _inner(index)
    selector = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    how = {} if selector is None else {"sel": selector}
    looked_at = max(effort, depth) + dead
    if isinstance(inner, faiss.IndexHNSW) and looked_at * _WALK > inner.ntotal:  # walking through so much of the graph takes longer than scanning all vectors
        thorough = True
    if not thorough and isinstance(inner, (faiss.IndexIVF, faiss.IndexHNSW)):
        lists = isinstance(inner, faiss.IndexIVF)
        params = faiss.SearchParametersIVF(nprobe=min(effort, inner.nlist), **how) if lists else faiss.SearchParametersHNSW(efSearch=looked_at, **how)
        far, places = index.search(queries, depth, params=params)
        lacking = np.flatnonzero((places < 0).any(axis=1))
        if len(lacking):
            far[lacking], places[lacking] = search(index, queries[lacking], depth, allowed, effort, thorough=True)
        return far, places
    if isinstance(inner, faiss.IndexIVF):
        return index.search(queries, depth, params=faiss.SearchParametersIVF(nprobe=inner.nlist, **how))
    if isinstance(inner, faiss.IndexHNSW):
        for step in _steps(index):
            queries = step.apply(queries)
        index = faiss.downcast_index(inner.storage)
    return index.search(queries, depth, params=faiss.SearchParameters(sel=selector) if selector else None)


def remove(index: Any, places: np.ndarray) -> bool:
    """Removes vectors; returns False for graphs, which cannot: searches have to skip these vectors from then on."""
    faiss = load_faiss()
    if kind_of(index).family == "graph":
        return False
    index.remove_ids(faiss.IDSelectorArray(places))
    return True


def recall(index: Any, vectors: np.ndarray, effort: int, *, depth: int, sample: int = 256) -> float:
    """Recall@``depth``: the share of the true nearest neighbours of some stored vectors that a search finds, not counting the vectors themselves.

    Args:
        index: of faiss, with exactly ``vectors``.
        vectors: float32 ``(N, D)``, of which at least two.
        effort: as in ``search``.
        depth: k of recall@k.
        sample: number of vectors that are searched for, evenly spread over all.
    """
    faiss = load_faiss()
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(sample, len(vectors))).astype(np.int64))
    depth = min(depth, len(vectors) - 1)
    _, true = faiss.knn(vectors[rows], np.ascontiguousarray(vectors), depth + 1)
    _, found = search(index, vectors[rows], depth + 1, None, effort, thorough=False)
    shares = []
    for row, wanted, got in zip(rows, true, found, strict=True):
        wanted = [place for place in wanted.tolist() if place != row][:depth]
        shares.append(len(set(wanted) & {*[place for place in got.tolist() if place != row][:depth]}) / depth)
    return float(np.mean(shares))


def _reason(error: Exception) -> str:
    """faiss's message without the function and line that it begins with."""
    return str(error).strip().splitlines()[-1].partition(" Error: ")[2][:160] or "it knows no such string"
