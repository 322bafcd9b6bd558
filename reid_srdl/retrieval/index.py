"""What an index of a gallery is, whatever stands behind it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..embeddings import Embeddings, check_mirrored, short_hash
from ..errors import UserError
from ..evaluation.scored import Track
from ..evaluation.tiles import Metric
from .keeping import FORMAT, backend_of, damaged
from .rows import UNKNOWN, Rows


@dataclass(frozen=True)
class About:
    """What an index knows of itself.

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
        """With further words for labels; a label's new word counts."""
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
        """Raises ``UserError`` where another version wrote it, or something is missing."""
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
    """What was found for Q queries, nearest first, all ``(Q, k)``; places beyond the last hit are empty.

    Args:
        ids: int64, of the stored images, for ``vectors``; -1 in empty places.
        distances: float32, by the metric of the index; infinite in empty places.
        paths: str; empty in empty places.
        labels: int64; ``rows.UNKNOWN`` where not known.
        cameras: int64; ``rows.UNKNOWN`` where not known.
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
    """What became of embeddings that were added.

    Args:
        images: that the index holds of them now.
        replaced: of these, whose path it held before, or that came twice; the later vector counts.
        junk: images of label -1, which were left out.
    """

    images: int
    replaced: int = 0
    junk: int = 0


class Index(Protocol):
    """A gallery that can be searched.

    Any number of threads may search while one adds or deletes. Of faiss each search sees the gallery before a change or after it; of a Milvus it
    may also see a part of the images that are being added.

    Attributes:
        backend: a key of ``BACKENDS``.
        path: of its file.
        about: what it knows of itself.
        exact: whether ``search`` finds the k nearest for certain; otherwise ``vectors`` may be approximations, too.
        true_distances: whether distances are those of the vectors that were added.
        effort: what is looked at a query where not all is; 0 where there is nothing to say.
        facts: of its building: ``remarks``, and of one that is not exact the ``recall`` at a ``depth``, where it was measured.
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
        """Share of the vectors that are looked at although they are deleted."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def __len__(self) -> int: ...

    def still(self) -> Index:
        """The gallery as it is now: what is found there is there for ``vectors``, whatever is changed meanwhile. A Milvus stands still for nobody."""
        ...

    def search(self, vectors: np.ndarray, top_k: int, cameras: Sequence[int] | None = None) -> Hits:
        """The nearest images of each query ``(Q, D)``; with ``cameras``, the nearest of those that these cameras took.

        Where fewer than ``top_k`` images are there, all of them. Equal distances stand in the order in which images were added.

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
        """The same by their paths. Raises ``KeyError`` for a path that is not there (any more)."""
        ...

    def holding(self, paths: Sequence[str]) -> Rows:
        """What is known of those of the paths that are there."""
        ...

    def cameras(self) -> np.ndarray:
        """Int64, each camera that took an image once, ascending; ``UNKNOWN`` is none."""
        ...

    def sample(self, count: int, seed: int = 0) -> Rows:
        """So many images by chance, the same for the same seed while nothing changes; all of them where there are no more."""
        ...

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        """Adds images, all or none. A path that is there already gets the new vector; junk is left out. ``names`` are further words for labels.

        Raises:
            UserError: another dimension or model; nothing but junk; the index cannot be written.
        """
        ...

    def delete(self, paths: Sequence[str]) -> int:
        """Takes images away, all or none; returns how many there were (unknown paths count nothing)."""
        ...

    def refresh(self, fits: Callable[[About], None] | None = None) -> bool:
        """Takes up what other processes have changed in the meantime; whether there was anything.

        Args:
            fits: raises ``UserError`` where an index that was built anew, and is described so, may not be taken up; none wants the same network.

        Raises:
            UserError: it is gone, cannot be read, or was built anew as another one. One in memory stays as it was; a Milvus, whose
                collection is then another one, too, is not searched any more until a ``refresh`` succeeds.
        """
        ...

    def close(self) -> None: ...


# --- what backends share -----------------------------------------------------------------------------------------------


def check_queries(vectors: np.ndarray, top_k: int, dimension: int) -> np.ndarray:
    """float32 ``(Q, D)``; the checks of ``Index.search``."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise UserError(f"queries of shape {vectors.shape} for an index of dimension {dimension}", "Embed them with the network that the index was built with.")
    if not np.isfinite(vectors).all():
        raise UserError("a query vector holds NaN or infinity", "Embed its image again.")
    if top_k < 1:
        raise UserError(f"top_k is {top_k}", "It must be above 0.")
    return vectors


def check_fits(embeddings: Embeddings, about: About, path: Path) -> None:
    """Raises ``UserError`` where these cannot be added to that index."""
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
    """Raises ``UserError`` where an index that is open was built anew by another metric, with --flip, or by a network that does not fit: it cannot go on as it is."""
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
