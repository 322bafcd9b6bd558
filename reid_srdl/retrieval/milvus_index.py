"""An index in a Milvus, behind the interface of ``index.Index``; its file is a small JSON that says where the collection is.

Rows are added in batches, and a process may be killed between two of them. So each change is first written to a journal beside
the JSON: one that was begun and not finished is undone, or finished, by whoever opens the index next. An index that is built
anew gets a collection of another name, and the former one serves until the JSON names the new one. All writers of an index have
to be on one machine; any number of processes may search.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..embeddings import Embeddings
from ..errors import UserError
from .index import About, Added, Hits, Track, check_backend, check_fits, check_queries, check_rebuilt
from .keeping import changing, check_free, damaged, read_description, readable, stamp_of, write_description
from .milvus_collection import DEEPEST, Collection, check_name, check_paths
from .milvus_connection import check_address, is_lite
from .milvus_journal import begun_in, note, settle, to_replace
from .milvus_place import BACKEND, full_uri, real, stored_uri
from .rows import Rows, incoming

DEFAULT_COLLECTION = "gallery"


class MilvusIndex:
    """The backend ``milvus``.

    Args:
        path: the JSON.
        about: what the index knows of itself.
        collection: where the rows are.
        token: for a server that asks for one; kept to connect again.
    """

    backend = BACKEND
    exact = True
    true_distances = True
    effort = 0
    dead = 0.0

    def __init__(self, path: Path, about: About, collection: Collection, token: str | None = None) -> None:
        self.path, self.about, self._collection, self._token = path, about, collection, token
        self._stamp, self._former = stamp_of(path), list[Collection]()
        self._barred: list[UserError] = []  # shared with snapshots
        self._lock = threading.Lock()
        self.facts: dict[str, Any] = {"remarks": []}

    # --- creating and opening --------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls, path: Path, embeddings: Embeddings, about: About, *, replace: bool = False, track: Track = iter,
        uri: str | None = None, collection: str | None = None, token: str | None = None, **others: Any,
    ) -> tuple[MilvusIndex, Added]:  # fmt: skip
        """As ``create_index``; without ``uri`` a Milvus Lite beside the file."""
        idle = [name for name, value in others.items() if value is not None]
        if idle:
            raise UserError(f"{idle[0]} means nothing for Milvus, whose index here is flat and exact", "It belongs to the backend faiss.")
        fresh = incoming(embeddings)
        check_paths(embeddings.paths or ())
        stored = stored_uri(uri or f"{real(path)}.db", path)
        check_address(stored)
        asked = collection or DEFAULT_COLLECTION
        check_name(asked, most=200)  # with room behind it for the mark of one that is built anew
        if full_uri(stored, path) == str(real(path)):
            raise UserError(f"{path} cannot be the index and its Milvus Lite at once", "Give its uri another path that ends in .db, or leave it out.")
        # The JSON, which makes it an index, comes last: until then only the journal says that one is being built.
        with changing(path), contextlib.ExitStack() as undo:
            check_free(path, replace)
            settle(path, full_uri(stored, path), token)
            build = secrets.token_hex(8)
            former = to_replace(path, stored, asked, token) if replace else None
            rows_of = Collection(full_uri(stored, path), f"{asked}_{build}" if former else asked, token)
            undo.callback(rows_of.close)
            if rows_of.exists():
                raise UserError(f"{rows_of.uri} has a collection {rows_of.name} already, which is not that of {path}", "Choose another name, as collection or --collection: to replace an index builds anew what it has itself.")
            # A change of the former that is still to be undone or finished stays to be so, should this not come to its end.
            note(path, buildings=[*begun_in(path).get("buildings", []), [[stored, rows_of.name, build], former]])
            try:
                rows_of.create(about, build)
                rows = fresh.rows(_first_id(), 0)
                rows_of.insert(rows, keys(rows.paths), fresh.vectors, track)
                rows_of.load(about, path, build)
                write_description(path, {**about.as_json(), "backend": cls.backend, "uri": stored, "collection": rows_of.name, "build": build})
            except Exception:
                settle(path, rows_of.uri, token)
                raise
            settle(path, rows_of.uri, token)
            note(path, undo=None, delete=None)  # whose rows went with the former collection
            undo.pop_all()
        return cls(path, about, rows_of, token), Added(len(rows), fresh.repeated, fresh.junk)

    @classmethod
    def open(cls, path: Path, *, token: str | None = None) -> MilvusIndex:
        """As ``open_index``."""
        values = files.read_json(path)
        if not isinstance(values, dict) or values.get("backend") != cls.backend:
            raise UserError(f"{path} is no index", "The command index writes such files.")
        return cls._described(path, values, token)

    @classmethod
    def _described(cls, path: Path, values: dict[str, Any], token: str | None) -> MilvusIndex:
        """The index that the ``values`` of a JSON describe."""
        about = About.of_json(values, path)
        values = read_description(path, values)
        try:
            stored, name, build = (str(values[key]) for key in ("uri", "collection", "build"))
        except KeyError as error:
            raise damaged(path, f"it lacks {error}") from None
        if is_lite(stored) and not Path(full_uri(stored, path)).exists():
            raise UserError(f"the Milvus Lite of {path} is gone: there is no {full_uri(stored, path)}", "It moves together with its index; build it anew otherwise.")
        collection = Collection(full_uri(stored, path), name, token)
        try:
            opened = cls(path, about, collection, token)
            collection.load(about, path, build)
            opened._finish_what_was_begun()
        except BaseException:
            collection.close()
            raise
        return opened

    # --- looking ---------------------------------------------------------------------------------------------------------

    @property
    def model(self) -> str:
        return self.about.model

    @property
    def dimension(self) -> int:
        return self.about.dimension

    def __len__(self) -> int:
        return self._open().count()

    def search(self, vectors: np.ndarray, top_k: int, cameras: Sequence[int] | None = None) -> Hits:
        vectors = check_queries(vectors, top_k, self.dimension)
        if top_k > DEEPEST:
            raise UserError(f"top_k is {top_k:,}, and Milvus hands out {DEEPEST:,} at most", "Ask for fewer, or use the backend faiss.")
        return self._open().search(vectors, top_k, cameras)

    def still(self) -> MilvusIndex:
        return copy.copy(self)  # of the same collection, also once the original has gone over to another one

    def vectors(self, ids: np.ndarray) -> np.ndarray:
        return self._open().vectors(np.asarray(ids, np.int64), self.dimension)

    def rows(self, ids: Sequence[int] | np.ndarray) -> Rows:
        return self._open().rows(ids)

    def by_path(self, paths: Sequence[str]) -> Rows:
        found = self.holding(paths)
        return found.take(found.of_paths(paths))

    def holding(self, paths: Sequence[str]) -> Rows:
        unique = list(dict.fromkeys(paths))
        collection = self._open()
        return collection.rows(collection.ids_of(dict(zip(keys(unique).tolist(), unique, strict=True))))

    def cameras(self) -> np.ndarray:
        return self._open().cameras()

    def sample(self, count: int, seed: int = 0) -> Rows:
        return self._open().some(count, seed)

    # --- changing --------------------------------------------------------------------------------------------------------

    def add(self, embeddings: Embeddings, *, names: Mapping[int, str] | None = None, track: Track = iter) -> Added:
        fresh = incoming(embeddings)
        check_paths(embeddings.paths or ())
        with self._lock, changing(self.path):
            self.refresh()
            check_fits(embeddings, self.about, self.path)
            self._finish()
            self._name(names)
            rows = fresh.rows(_first_id(), 0)
            own = keys(rows.paths)
            old = self._collection.ids_of(dict(zip(own.tolist(), rows.paths, strict=True)))
            note(self.path, undo=[int(rows.ids[0]), int(rows.ids[-1])])
            try:
                self._collection.insert(rows, own, fresh.vectors, track)
                note(self.path, undo=None, delete=old)  # from here on the images count as added
            except Exception:
                with contextlib.suppress(UserError):  # where Milvus does not answer, whoever opens the index next undoes it
                    self._finish()
                raise
            self._finish()
        return Added(len(rows), len(old) + fresh.repeated, fresh.junk)

    def delete(self, paths: Sequence[str]) -> int:
        with self._lock, changing(self.path):
            self.refresh()
            self._finish()
            unique = list(dict.fromkeys(paths))
            ids = self._collection.ids_of(dict(zip(keys(unique).tolist(), unique, strict=True)))
            if ids:
                note(self.path, delete=ids)
                self._finish()
        return len(ids)

    def _name(self, names: Mapping[int, str] | None) -> None:
        """Writes further words for labels, before the images are added: words for labels that no image has yet do no harm."""
        about = self.about.named(names)
        if about != self.about:
            kept = read_description(self.path, files.read_json(self.path))
            write_description(self.path, {**kept, **about.as_json()})
            self.about, self._stamp = about, stamp_of(self.path)

    def _finish_what_was_begun(self) -> None:
        if {"undo", "delete"} & set(begun_in(self.path)):  # the building of another collection does no harm here; the next change removes it
            with changing(self.path, wait=False) as mine:
                if mine:  # else its writer is still running
                    self._finish()

    def _finish(self) -> None:
        """Undoes or finishes the change in the journal; only to be called under the lock of ``changing``."""
        settle(self.path, self._collection.uri, self._token)
        begun = begun_in(self.path)
        if begun.get("undo"):
            self._collection.delete_between(*begun["undo"])
        if begun.get("delete"):
            self._collection.delete(begun["delete"])
        note(self.path, undo=None, delete=None)

    def refresh(self, fits: Callable[[About], None] | None = None) -> bool:
        """As ``Index.refresh``. Searches ask the database, so only the description can be out of date: where the index was built anew, or has more names."""
        if not self.path.is_file():
            raise UserError(f"the index {self.path} is gone", "Build it anew with the command index.")
        stamp = stamp_of(self.path)
        if stamp == self._stamp:
            self._barred.clear()
            return False
        try:
            with readable(self.path):
                check_backend(self.backend, self.path)
            values = files.read_json(self.path)
            check_rebuilt(self.about, About.of_json(values, self.path), self.path, fits)
            other = MilvusIndex._described(self.path, values, self._token)
        except UserError as error:
            self._barred[:] = [error]
            raise
        self._former.append(self._collection)  # searches that are under way still use it
        self._barred.clear()
        self.about, self._collection, self._stamp = other.about, other._collection, stamp
        return True

    def _open(self) -> Collection:
        """The collection. Raises what the last ``refresh`` raised where the collection may be another index's by now."""
        if self._barred:
            raise self._barred[0].with_traceback(None)
        return self._collection

    def close(self) -> None:
        for collection in (*self._former, self._collection):
            collection.close()


def keys(paths: Iterable[str]) -> np.ndarray:
    """63 bits of each path's hash, int64 ``(N,)``: queries look rows up by it, since numbers need no quoting."""
    return np.fromiter((int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1 for path in paths), np.int64)


def _first_id() -> int:
    # Microseconds: later rows get higher ids without a query for the highest one, and JavaScript's numbers still hold them exactly.
    return time.time_ns() // 1000
