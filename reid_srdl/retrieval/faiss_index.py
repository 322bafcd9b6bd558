"""An index in one file, searched in memory by faiss."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..embeddings import UNKNOWN, Embeddings
from ..errors import UserError
from . import factories, faiss_file
from .index import About, Added, Hits, Track, check_backend, check_fits, check_queries, check_rebuilt, empty_hits
from .keeping import Unreadable, changing, check_free, damaged, readable, stamp_of
from .rows import Rows, incoming

COMPACT_AT = 0.25
"""Share of deleted vectors in a graph beyond which it is built anew without them."""

_SAMPLE_DEPTH = 10


@dataclass(frozen=True, eq=False)
class _State:
    """A state of the gallery. It is immutable: a change makes a new one, so that searches need no lock.

    Args:
        index: of faiss.
        rows: the images that exist; a graph also has places of deleted ones.
        places: how many places have been assigned, which is the length of masks over them.
        last_id: the last id that has been assigned.
    """

    index: Any
    rows: Rows
    places: int
    last_id: int


class FaissIndex:
    """The backend ``faiss``; the interface is that of ``index.Index``.

    Args:
        path: the file.
        about: what the index knows of itself.
        factory: string that faiss made it from.
        effort: how much is looked at for each query: lists of an IVF, candidates of an HNSW.
        facts: ``recall``, its ``depth`` and the ``remarks`` of building, kept with it.
        state: the gallery.
    """

    backend = "faiss"

    def __init__(self, path: Path, about: About, factory: str, effort: int, facts: dict[str, Any], state: _State) -> None:
        self.path, self.about, self.factory, self.effort, self.facts = path, about, factory, effort, facts
        self._state, self._lock = state, threading.Lock()
        kind = factories.kind_of(state.index)
        self.family, self.exact, self.true_distances = kind.family, kind.exact, kind.true_distances
        self._stamp: tuple[int, int, int] | None = None
        self._refused: tuple[Any, UserError] | None = None

    # --- creating and opening ------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path, embeddings: Embeddings, about: About, *, replace: bool = False, track: Track = iter,
        factory: str | None = None, effort: int | None = None, **others: Any,
    ) -> tuple[FaissIndex, Added]:  # fmt: skip
        """As ``create_index``; an existing index is replaced at the end, by one rename."""
        idle = [name for name, value in others.items() if value is not None]
        if idle:
            raise UserError(f"{idle[0]} means nothing for a faiss index", "It belongs to the backend milvus.")
        if effort is not None and effort < 1:
            raise UserError(f"effort is {effort}", "It must be above 0.")
        factory, fresh = factory or factories.DEFAULT, incoming(embeddings)
        index = factories.make(factory, embeddings.dimension)
        remark = factories.train(index, fresh.vectors, factory)
        rows = fresh.rows(0, 0)
        factories.add(index, fresh.vectors, rows.places, track)
        kind = factories.kind_of(index)
        facts: dict[str, Any] = {"remarks": [remark] if remark else []}
        effort = effort or kind.effort
        if not kind.exact and len(rows) > 1:
            depth = min(_SAMPLE_DEPTH, len(rows) - 1)
            facts |= {"recall": factories.recall(index, fresh.vectors, effort, depth=depth), "depth": depth}
        with changing(path):
            check_free(path, replace)
            # Whoever still has an id of the former index finds nothing by it, and not another image.
            rows = dataclasses.replace(rows, ids=rows.ids + faiss_file.last_id(path) + 1)
            made = cls(path, about, factory, effort, facts, _State(index, rows, len(rows), int(rows.ids[-1])))
            made._save(made._state)
        return made, Added(len(rows), fresh.repeated, fresh.junk)

    @classmethod
    def open(cls, path: Path, *, token: str | None = None) -> FaissIndex:
        """As ``open_index``; a file asks for no token."""
        abouts: list[About] = []
        with readable(path):
            stamp = stamp_of(path)
            index, rows, description = faiss_file.read(path, lambda values: abouts.append(About.of_json(values, path)))
        try:
            state = _State(index, rows, int(description["places"]), int(description["last_id"]))
            opened = cls(path, abouts[0], str(description["factory"]), int(description["effort"]), dict(description["facts"]), state)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(path, f"its description lacks {error}") from None
        if index.d != opened.dimension or index.ntotal < len(rows):
            raise damaged(path, "its parts do not fit together")
        opened._stamp = stamp
        return opened

    # --- looking -------------------------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        return self.about.model

    @property
    def dimension(self) -> int:
        return self.about.dimension

    def __len__(self) -> int:
        return len(self._state.rows)

    def still(self) -> FaissIndex:
        return copy.copy(self)  # the state never changes, and a change puts another into the original

    @property
    def dead(self) -> float:
        """Share of the vectors in a graph that are deleted and passed over."""
        state = self._state
        return 1 - len(state.rows) / state.index.ntotal if state.index.ntotal else 0.0

    def search(self, vectors: np.ndarray, top_k: int, cameras: Sequence[int] | None = None) -> Hits:
        state = self._state
        vectors = check_queries(vectors, top_k, self.dimension)
        rows = state.rows
        allowed, possible = None, len(rows)
        if cameras is not None or len(rows) < state.index.ntotal:
            wanted = np.ones(len(rows), bool) if cameras is None else np.isin(rows.cameras, np.asarray(list(cameras), np.int64))
            possible = int(wanted.sum())
            allowed = np.zeros(state.places, bool)
            allowed[rows.places[wanted]] = True
        hits = empty_hits(len(vectors), min(top_k, possible))
        if not hits.ids.size:
            return hits
        far, places = factories.search(state.index, vectors, min(top_k, possible), allowed, self.effort, dead=state.index.ntotal - len(rows), thorough=cameras is not None)
        order = np.lexsort((places, far), axis=1)
        far, places = np.take_along_axis(far, order, axis=1), np.take_along_axis(places, order, axis=1)
        there = places >= 0
        if not there.all():  # move empty places to the end: a graph that found too few has place -1 there, and a distance without meaning
            order = np.argsort(~there, axis=1, kind="stable")
            far, places, there = (np.take_along_axis(values, order, axis=1) for values in (far, places, there))
        found = rows.at(places[there])
        for column, values in (("ids", rows.ids), ("paths", rows.paths), ("labels", rows.labels), ("cameras", rows.cameras)):
            getattr(hits, column)[there] = values[found]
        hits.distances[there] = np.maximum(far[there], 0)
        return hits

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        state = self._state
        rows = state.rows.of_ids(np.asarray(ids, np.int64))
        if not len(rows):
            return np.empty((0, self.dimension), np.float32)
        return state.index.reconstruct_batch(state.rows.places[rows])

    def rows(self, ids: Sequence[int] | np.ndarray) -> Rows:
        rows = self._state.rows
        return rows.take(rows.of_ids(np.asarray(ids, np.int64)))

    def by_path(self, paths: Sequence[str]) -> Rows:
        rows = self._state.rows
        return rows.take(rows.of_paths(paths))

    def holding(self, paths: Sequence[str]) -> Rows:
        rows = self._state.rows
        return rows.take(rows.holding(list(paths)))

    def cameras(self) -> np.ndarray:
        found = np.unique(self._state.rows.cameras)
        return found[found != UNKNOWN]

    def sample(self, count: int, seed: int = 0) -> Rows:
        rows = self._state.rows
        return rows.take(np.sort(np.random.default_rng(seed).permutation(len(rows))[:count]))

    # --- changing ------------------------------------------------------------------------------------------------------

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        fresh = incoming(embeddings)
        with self._lock, changing(self.path):
            self.refresh()
            check_fits(embeddings, self.about, self.path)
            state, replaced = self._without(self._state, self._state.rows.holding(fresh.paths))
            index = state.index if state is not self._state else _copy(state.index)
            rows = fresh.rows(state.last_id + 1, state.places)
            factories.add(index, fresh.vectors, rows.places, track)
            self._save(_State(index, state.rows.followed_by(rows), state.places + len(rows), int(rows.ids[-1])), self.about.named(names))
        return Added(len(rows), replaced + fresh.repeated, fresh.junk)

    def delete(self, paths: Sequence[str]) -> int:
        with self._lock, changing(self.path):
            self.refresh()
            state, count = self._without(self._state, self._state.rows.holding(list(paths)))
            if count:
                self._save(state)
        return count

    def _without(self, state: _State, gone: np.ndarray) -> tuple[_State, int]:
        """The state without the rows of the mask ``gone``, in a copy of the index, and how many rows that were; the same state where there were none."""
        count = int(gone.sum())
        if not count:
            return state, 0
        index, rows, places = _copy(state.index), state.rows.take(~gone), state.places
        removed = factories.remove(index, state.rows.places[gone])
        if removed and self.family == "flat":  # faiss numbers the vectors anew, without gaps
            rows, places = dataclasses.replace(rows, places=np.arange(len(rows))), len(rows)
        if not removed and 1 - len(rows) / index.ntotal > COMPACT_AT:
            index, rows, places = _compacted(index, rows)
        return _State(index, rows, places, state.last_id), count

    def refresh(self, fits: Callable[[About], None] | None = None) -> bool:
        """As ``Index.refresh``. Reading may take minutes, so a file that was refused is not read again until it is replaced."""
        with readable(self.path):
            if not self.path.is_file():
                raise UserError(f"the index {self.path} is gone", "Build it anew with the command index.")
            stamp = stamp_of(self.path)
        if stamp == self._stamp:
            return False
        asked = stamp, fits
        if self._refused is not None and self._refused[0] == asked:
            raise self._refused[1].with_traceback(None)
        try:
            with readable(self.path):
                check_backend(self.backend, self.path)
            other = FaissIndex.open(self.path)
            check_rebuilt(self.about, other.about, self.path, fits)
        except Unreadable:
            raise
        except UserError as error:
            self._refused = asked, error
            raise
        self.about, self.factory, self.effort, self.facts = other.about, other.factory, other.effort, other.facts
        self.family, self.exact, self.true_distances = other.family, other.exact, other.true_distances
        self._state, self._stamp = other._state, other._stamp
        return True

    def _save(self, state: _State, about: About | None = None) -> None:
        """Writes the file first and then lets searches use the new state: what could not be written is not found either."""
        about = about or self.about
        description = {
            **about.as_json(), "backend": self.backend, "factory": self.factory, "effort": self.effort, "facts": self.facts,
            "images": len(state.rows), "places": state.places, "last_id": state.last_id,
        }  # fmt: skip
        faiss_file.write(self.path, state.index, state.rows, description)
        self.about, self._state, self._stamp = about, state, stamp_of(self.path)

    def close(self) -> None:
        """Nothing is held open."""


def _copy(index: Any) -> Any:
    from ..evaluation.flat_index import load_faiss

    return load_faiss().clone_index(index)


def _compacted(index: Any, rows: Rows) -> tuple[Any, Rows, int]:
    """Rebuilds a graph in place, with its former training, of ``rows`` alone; returns it, the rows with new places, and how many there are."""
    vectors = index.reconstruct_batch(rows.places) if len(rows) else None
    index.reset()
    if vectors is not None:
        index.add(vectors)
    return index, dataclasses.replace(rows, places=np.arange(len(rows))), len(rows)
