"""What is known of each image of an index, beside its vector."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.records import JUNK
from ..embeddings import Embeddings, no_text
from ..embeddings.joining import or_unknown
from ..errors import UserError
from ..evaluation.tiles import check_lengths


@dataclass(frozen=True, eq=False)
class Rows:
    """N images in the order in which they were added.

    Args:
        ids: int64 ``(N,)``, ascending; never reused.
        places: int64 ``(N,)``, ascending: the numbers of the vectors in the faiss index (with Milvus, the ids).
        paths: str ``(N,)``, each once.
        labels: int64 ``(N,)``, perhaps ``UNKNOWN``.
        cameras: int64 ``(N,)``, perhaps ``UNKNOWN``.
    """

    ids: np.ndarray
    places: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    cameras: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Rows:
        """The given rows (indices or a mask), in their order."""
        return Rows(self.ids[rows], self.places[rows], self.paths[rows], self.labels[rows], self.cameras[rows])

    def followed_by(self, other: Rows) -> Rows:
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("ids", "places", "paths", "labels", "cameras"))
        return Rows(*(np.concatenate(pair) for pair in pairs))

    def holding(self, paths: list[str] | np.ndarray) -> np.ndarray:
        """A mask ``(N,)`` of the images whose path is among these."""
        wanted = set(paths)
        return np.fromiter((path in wanted for path in self.paths), bool, len(self))

    def at(self, places: np.ndarray) -> np.ndarray:
        """Row numbers by places, all of which have to be there."""
        return np.searchsorted(self.places, places)

    def of_ids(self, ids: np.ndarray) -> np.ndarray:
        """Row numbers by ids. Raises ``KeyError`` for one that is not there."""
        rows = np.searchsorted(self.ids, ids)
        found = np.append(self.ids, -1)[rows] == ids
        if not found.all():
            raise KeyError(int(np.asarray(ids)[~found][0]))
        return rows

    def of_paths(self, paths: Sequence[str]) -> np.ndarray:
        """Row numbers by paths, in their order. Raises ``KeyError`` for one that is not there."""
        wanted = set(paths)
        rows = {path: row for row, path in enumerate(self.paths) if path in wanted}
        return np.array([rows[path] for path in paths], np.int64)


@dataclass(frozen=True, eq=False)
class Incoming:
    """Images as they go into an index: junk and repeated paths left out.

    Args:
        vectors: float32 ``(N, D)``.
        paths, labels, cameras: as in ``Rows``.
        junk: how many images were left out for their label.
        repeated: how many images were left out for a later one of the same path.
    """

    vectors: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    cameras: np.ndarray
    junk: int
    repeated: int

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self, first_id: int, first_place: int) -> Rows:
        """As ``Rows``, with ids and places that count up from the given ones."""
        count = np.arange(len(self), dtype=np.int64)
        return Rows(first_id + count, first_place + count, self.paths, self.labels, self.cameras)


def incoming(embeddings: Embeddings) -> Incoming:
    """Embeddings made ready for an index.

    Images without paths are named by their row, ``#0000001``. Raises ``UserError`` where there is nothing but junk, a path is not UTF-8, or a vector's
    squared length overflows float32.
    """
    everything = embeddings if embeddings.paths is not None else Embeddings(**{**vars(embeddings), "paths": [f"#{row:07d}" for row in range(len(embeddings))]})
    kept = everything if everything.labels is None else everything.take(everything.labels != JUNK)
    if not len(kept):
        raise UserError("there is nothing to add", "All images are junk (label -1)." if len(embeddings) else "The embeddings hold no images.")
    if odd := no_text(kept.paths or ()):
        raise UserError(f"the path {odd} is not UTF-8, and an index holds text", "Rename the image, and embed it again.")
    check_lengths(kept.vectors, "gallery")
    last = {path: row for row, path in enumerate(kept.paths or ())}
    once = kept if len(last) == len(kept) else kept.take(np.sort(np.fromiter(last.values(), np.int64, len(last))))
    return Incoming(
        vectors=once.vectors,
        paths=as_objects(once.paths or ()),
        labels=or_unknown(once.labels, len(once)),
        cameras=or_unknown(once.cameras, len(once)),
        junk=len(everything) - len(kept),
        repeated=len(kept) - len(once),
    )


def as_objects(words: list[str] | tuple[str, ...]) -> np.ndarray:
    """Texts as an object array; in one of fixed width, the longest path would set the width of all."""
    result = np.empty(len(words), object)
    result[:] = words
    return result


# --- as bytes ----------------------------------------------------------------------------------------------------------


def to_bytes(rows: Rows) -> bytes:
    """The rows as the bytes of a Parquet table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: pa.array(getattr(rows, name), pa.string() if name == "paths" else pa.int64()) for name in vars(rows)})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def of_bytes(data: bytes, path: Path) -> Rows:
    """The rows from the bytes of ``to_bytes``. Raises ``UserError`` where they are no such table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without threads: they run on for a moment, and would abort a process that ends with an error meanwhile.
        table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
        numbers = [table[name].to_numpy() for name in ("ids", "places")]
        return Rows(*numbers, as_objects(table["paths"].to_pylist()), table["labels"].to_numpy(), table["cameras"].to_numpy())
    except (pa.ArrowException, KeyError) as error:
        raise UserError(f"{path} is damaged: {error}", "Copy it again, or build it anew with the command index.") from None
