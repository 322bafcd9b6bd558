"""The interface of an index of a gallery, and the checks that all backends share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..embeddings import UNKNOWN, Embeddings, check_mirrored, short_hash
from ..errors import UserError
from ..evaluation.scored import Track
from ..evaluation.tiles import Metric
from .keeping import FORMAT, backend_of, damaged
from .rows import Rows


@dataclass(frozen=True)
class About:
    """The description of an index, which is kept with it.

    Args:
        model: hash of the network that made the vectors; empty where unknown.
        dimension: D.
        root: folder that the images' paths are relative to, where known.
        names: words for labels, where there are any.
        metric: of its distances: ``euclidean`` (squared), or ``cosine`` (1 - cosine) of vectors that are kept at length 1.
        flip: whether its vectors are averaged with those of mirrored images; none where unknown.

    Raises:
        UserError: another metric.
    """

    model: str
    dimension: int
    root: str | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    metric: Metric = "euclidean"
    flip: bool | None = None

    def __post_init__(self) -> None:
        if self.metric not in ("euclidean", "cosine"):
            raise UserError(f"there is no metric {self.metric!r}", "Choose euclidean or cosine.")

    def named(self, names: Mapping[int, str] | None) -> About:
        """The same with further words for labels; a new word replaces a label's former one."""
        return dataclasses.replace(self, names={**self.names, **names}) if names else self

    @property
    def distance(self) -> str:
        """What its distances are, in words."""
        return {"euclidean": "squared Euclidean", "cosine": "1 - cosine"}[self.metric]

    def as_json(self) -> dict[str, Any]:
        names = {str(label): name for label, name in self.names.items()}
        told = {"format": FORMAT, "model": self.model, "dimension": self.dimension, "root": self.root, "names": names}
        told |= {} if self.metric == "euclidean" else {"metric": self.metric}
        return told | ({} if self.flip is None else {"flip": self.flip})

    @staticmethod
    def of_json(values: Mapping[str, Any], path: Path) -> About:
        """The description in the JSON of an index. Raises ``UserError`` where its format is of another version, or something is missing."""
        if values.get("format") != FORMAT:
            raise UserError(
                f"{path} is an index of format {values.get('format')}, and this version reads {FORMAT}", "Build it anew with the command index, or use the version that wrote it."
            )
        try:
            names = {int(label): str(name) for label, name in values["names"].items()}
            return About(str(values["model"]), int(values["dimension"]), values["root"], names, values.get("metric", "euclidean"), values.get("flip"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path, f"its description lacks {error}") from None


@dataclass(frozen=True, eq=False)
class Hits:
    """The images found for Q queries, nearest first. All arrays are ``(Q, k)``; places after a query's last hit are empty.

    Args:
        ids: int64, ids of the stored images, as ``Index.vectors`` takes them; -1 in empty places.
        distances: float32, by the metric of the index; infinite in empty places.
        paths: str; empty in empty places.
        labels: int64; ``embeddings.UNKNOWN`` where not known.
        cameras: int64; ``embeddings.UNKNOWN`` where not known.
    """

    ids: np.ndarray
    distances: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    cameras: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> np.ndarray:
        """Hits of each query, int64 ``(Q,)``."""
        return (self.ids >= 0).sum(axis=1)


@dataclass(frozen=True)
class Added:
    """What happened to embeddings that were added.

    Args:
        images: how many of them the index holds now.
        replaced: how many vectors gave way to a later one of the same path, be it in the index or among those added.
        junk: how many had label -1 and were left out.
    """

    images: int
    replaced: int = 0
    junk: int = 0


class Index(Protocol):
    """A gallery that can be searched.

    Any number of threads may search while one adds or deletes. With faiss each search sees the gallery as it was before a change or is after it; with Milvus it
    may also see some of the images that are just being added.

    Attributes:
        backend: a key of ``BACKENDS``.
        path: of its file.
        about: what it knows of itself.
        exact: whether ``search`` finds the k nearest for certain; otherwise ``vectors`` may be approximations, too.
        true_distances: whether distances are those of the vectors that were added.
        effort: how much an approximate search looks at for each query (lists of an IVF, candidates of an HNSW); 0 where there is no such choice.
        facts: from when it was built: ``remarks`` and, for an approximate index where it was measured, ``recall`` at ``depth``.
    """

    backend: str
    path: Path
    about: About
    exact: bool
    true_distances: bool
    effort: int
    facts: Mapping[str, Any]

    @property
    def dead(self) -> float:
        """Share of the stored vectors that are deleted, but that searches still pass over."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def __len__(self) -> int: ...

    def still(self) -> Index:
        """A snapshot, so that ``vectors`` has every image that ``search`` found, whatever is changed meanwhile. In Milvus rows may still go, but none of another index come."""
        ...

    def search(self, vectors: np.ndarray, top_k: int, cameras: Sequence[int] | None = None) -> Hits:
        """The nearest images of each query ``(Q, D)``; with ``cameras``, the nearest of those that these cameras took.

        Where there are fewer than ``top_k`` images, all of them are found. Equal distances rank in the order in which images were added.

        Raises:
            UserError: vectors of another dimension or not finite; ``top_k`` below 1.
        """
        ...

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        """Stored vectors float32 ``(N, D)`` of hits. Raises ``KeyError`` for an id that is not there (any more)."""
        ...

    def rows(self, ids: Sequence[int] | np.ndarray) -> Rows:
        """What is known of images, in the order of ``ids``. Raises ``KeyError`` for an id that is not there (any more)."""
        ...

    def by_path(self, paths: Sequence[str]) -> Rows:
        """What is known of images by their paths, in the order of ``paths``. Raises ``KeyError`` for a path that is not there (any more)."""
        ...

    def holding(self, paths: Sequence[str]) -> Rows:
        """What is known of the images with these paths; paths that are not in the index are left out."""
        ...

    def cameras(self) -> np.ndarray:
        """The cameras that took images of the index, int64: each once, ascending, without ``UNKNOWN``."""
        ...

    def sample(self, count: int, seed: int = 0) -> Rows:
        """``count`` images drawn at random, the same for the same seed while the index is unchanged; all of them where there are no more."""
        ...

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        """Adds images, all or none. A path that is there already gets the new vector; junk is left out. ``names`` are further words for labels.

        Raises:
            UserError: another dimension or model; nothing but junk; the index cannot be written.
        """
        ...

    def delete(self, paths: Sequence[str]) -> int:
        """Deletes images, all or none; returns how many were deleted (unknown paths are not counted)."""
        ...

    def refresh(self, fits: Callable[[About], None] | None = None) -> bool:
        """Takes over what other processes have changed since; returns whether there was anything.

        Args:
            fits: is called with the description of an index that was built anew, and raises ``UserError`` where it may not be used; none asks for the same network.

        Raises:
            UserError: the index is gone, cannot be read, or was built anew in a way that does not fit. An index in memory stays as it
                was; one in Milvus, whose collection has then been replaced, too, refuses searches until a ``refresh`` succeeds.
        """
        ...

    def close(self) -> None: ...


# --- what backends share -----------------------------------------------------------------------------------------------


def check_queries(vectors: np.ndarray, top_k: int, dimension: int) -> np.ndarray:
    """The queries as contiguous float32 ``(Q, D)``. Raises ``UserError`` as ``Index.search`` does."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise UserError(f"queries of shape {vectors.shape} for an index of dimension {dimension}", "Embed them with the network that the index was built with.")
    if not np.isfinite(vectors).all():
        raise UserError("a query vector holds NaN or infinity", "Embed its image again.")
    if top_k < 1:
        raise UserError(f"top_k is {top_k}", "It must be above 0.")
    return vectors


def check_fits(embeddings: Embeddings, about: About, path: Path) -> None:
    """Raises ``UserError`` where the embeddings cannot be added to the index at ``path``."""
    if embeddings.dimension != about.dimension:
        raise UserError(f"vectors of {embeddings.dimension} numbers do not fit {path}, whose have {about.dimension}", "Embed the images with the network of the index.")
    if embeddings.model != about.model:
        raise UserError(
            f"the vectors are of the network {short_hash(embeddings.model)}, and {path} is of {short_hash(about.model)}", "Distances between two networks mean nothing: embed with the same."
        )
    check_mirrored(("the vectors", embeddings.flip), (f"those of {path}", about.flip), f"Embed them {'with' if about.flip else 'without'} --flip.")


def check_backend(backend: str, path: Path) -> None:
    """Raises ``UserError`` where an index that is open was built anew with another backend."""
    now = backend_of(path)
    if now != backend:
        raise UserError(f"{path} was built anew with --backend {now}, and was of {backend}", "Open it again; a server has to be started again.")


def check_rebuilt(before: About, now: About, path: Path, fits: Callable[[About], None] | None) -> None:
    """Raises ``UserError`` where an open index was built anew with another metric, another choice of --flip or a network that does not fit: it has to be opened again."""
    if now.metric != before.metric:
        raise UserError(f"{path} was built anew by the {now.metric} distance, and had the {before.metric} one", "Open it again; a server has to be started again.")
    if now.flip != before.flip:
        raise UserError(f"{path} was built anew of embeddings {'with' if now.flip else 'without'} --flip", "Open it again; a server has to be started again.")
    if fits is not None:
        fits(now)
    elif (now.model, now.dimension) != (before.model, before.dimension):
        raise UserError(f"{path} was built anew by the network {short_hash(now.model)}, and was of {short_hash(before.model)}", "Open it again; distances between two networks mean nothing.")


def empty_hits(queries: int, depth: int) -> Hits:
    """Hits with nothing in them."""
    shape = (queries, depth)
    return Hits(
        np.full(shape, -1, np.int64), np.full(shape, np.inf, np.float32), np.full(shape, "", object), np.full(shape, UNKNOWN, np.int64), np.full(shape, UNKNOWN, np.int64)
    )
