"""An index in a Milvus, behind the interface of ``index.Index``; its file is a small JSON that says where the collection is.

Rows are added in batches, and a process may be killed between two of them. So each change is first written to a journal beside
the JSON: one that was begun and not finished is undone, or finished, by whoever opens the index next. All writers of an index
have to be on one machine; any number of processes may search.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..embeddings import Embeddings
from ..errors import UserError
from .index import About, Added, Hits, Track, check_backend, check_fits, check_queries, check_rebuilt
from .keeping import (
    changing,
    check_free,
    damaged,
    description_of,
    read_description,
    readable,
    stamp_of,
    write_description,
)
from .milvus_collection import DEEPEST, Collection, check_paths
from .milvus_connection import check_address, is_lite
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

    backend = "milvus"
    exact = True
    true_distances = True
    effort = 0
    dead = 0.0

    def __init__(self, path: Path, about: About, collection: Collection, token: str | None = None) -> None:
        self.path, self.about, self._collection, self._token = path, about, collection, token
        self._stamp, self._former = stamp_of(path), list[Collection]()
        self._barred: UserError | None = None
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
        stored = _stored_uri(uri or f"{_real(path)}.db", path)
        check_address(stored)
        if _full_uri(stored, path) == str(_real(path)):
            raise UserError(f"{path} cannot be the index and its Milvus Lite at once", "Give its uri another path that ends in .db, or leave it out.")
        # The JSON, which makes it an index, comes last: until then only the journal says that one is being built.
        with changing(path), contextlib.ExitStack() as undo:
            check_free(path, replace)
            rows_of = Collection(_full_uri(stored, path), collection or DEFAULT_COLLECTION, token)
            undo.callback(rows_of.close)
            if rows_of.exists():
                if [stored, rows_of.name, rows_of.build()] not in _built_for(path, replace):
                    raise UserError(f"{rows_of.uri} has a collection {rows_of.name} already, which is not that of {path}", "Choose another name, as collection or --collection: to replace an index builds anew what it has itself.")
                rows_of.drop()
            build = secrets.token_hex(8)
            files.write_json(_journal(path), {"building": [stored, rows_of.name, build]}, flag="")
            rows_of.create(about, build)
            rows = fresh.rows(_first_id(), 0)
            rows_of.insert(rows, keys(rows.paths), fresh.vectors, track)
            rows_of.load(about, path, build)
            write_description(path, {**about.as_json(), "backend": cls.backend, "uri": stored, "collection": rows_of.name, "build": build})
            _journal(path).unlink()
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
        if is_lite(stored) and not Path(_full_uri(stored, path)).exists():
            raise UserError(f"the Milvus Lite of {path} is gone: there is no {_full_uri(stored, path)}", "It moves together with its index; build it anew otherwise.")
        collection = Collection(_full_uri(stored, path), name, token)
        try:
            opened = cls(path, about, collection, token)
            if _built_into(path, collection):
                with changing(path, wait=False) as mine:
                    if mine:
                        raise UserError(f"the building of {path} was broken off", "Build it again with --replace.")
                    raise UserError(f"the building of {path} has begun and is not finished", "Wait for it; where it was broken off, build it again with --replace.")
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
        return self

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
            files.write_json(_journal(self.path), {"undo": [int(rows.ids[0]), int(rows.ids[-1])]}, flag="")
            try:
                self._collection.insert(rows, own, fresh.vectors, track)
                files.write_json(_journal(self.path), {"delete": old}, flag="")  # from here on the images count as added
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
                files.write_json(_journal(self.path), {"delete": ids}, flag="")
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
        if set(_read_journal(self.path)) - {"building"}:  # the building of another collection does no harm here; the next change removes it
            with changing(self.path, wait=False) as mine:
                if mine:  # else its writer is still running
                    self._finish()

    def _finish(self) -> None:
        """Undoes or finishes the change in the journal; only to be called under the lock of ``changing``."""
        begun = _read_journal(self.path)
        if begun.get("building"):
            stored, name, *build = begun["building"]
            with contextlib.closing(Collection(_full_uri(stored, self.path), name, self._token)) as left:
                if left.exists() and [left.build()] == build:
                    left.drop()
        if begun.get("undo"):
            self._collection.delete_between(*begun["undo"])
        if begun.get("delete"):
            self._collection.delete(begun["delete"])
        _journal(self.path).unlink(missing_ok=True)

    def refresh(self, fits: Callable[[About], None] | None = None) -> bool:
        """As ``Index.refresh``. Searches ask the database, so only the description can be out of date: where the index was built anew, or has more names."""
        if not self.path.is_file():
            raise UserError(f"the index {self.path} is gone", "Build it anew with the command index.")
        stamp = stamp_of(self.path)
        if stamp == self._stamp and not _built_into(self.path, self._collection):
            self._barred = None
            return False
        try:
            with readable(self.path):
                check_backend(self.backend, self.path)
            values = files.read_json(self.path)
            check_rebuilt(self.about, About.of_json(values, self.path), self.path, fits)
            other = MilvusIndex._described(self.path, values, self._token)
        except UserError as error:
            self._barred = error
            raise
        self._former.append(self._collection)  # searches that are under way still use it
        self.about, self._collection, self._stamp, self._barred = other.about, other._collection, stamp, None
        return True

    def _open(self) -> Collection:
        """The collection. Raises what the last ``refresh`` raised where the collection may be another index's by now."""
        if self._barred is not None:
            raise self._barred.with_traceback(None)
        return self._collection

    def close(self) -> None:
        for collection in (*self._former, self._collection):
            collection.close()


@dataclass(frozen=True)
class Place:
    """Where the rows of an index are: the full address, the collection's name, and its build, a random mark from its creation."""

    uri: str
    collection: str
    build: str

    def still_holds(self, token: str | None = None) -> bool:
        """Whether the rows are still there, as far as can be seen: False where the collection is gone, or another index's by now."""
        if is_lite(self.uri) and not Path(self.uri).exists():
            return False
        try:
            with contextlib.closing(Collection(self.uri, self.collection, token)) as there:
                return there.exists() and there.build() == self.build
        except UserError:  # a Milvus that does not answer may still hold them
            return True


def place_of(path: Path) -> Place | None:
    """The place of the index at ``path``; none where that is no intact index of Milvus."""
    told = description_of(path)
    return Place(_full_uri(told["uri"], path), told["collection"], told.get("build", "")) if told.get("backend") == MilvusIndex.backend else None


def keys(paths: Iterable[str]) -> np.ndarray:
    """63 bits of each path's hash, int64 ``(N,)``: queries look rows up by it, since numbers need no quoting."""
    return np.fromiter((int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 1 for path in paths), np.int64)


def _first_id() -> int:
    # Microseconds: later rows get higher ids without a query for the highest one, and JavaScript's numbers still hold them exactly.
    return time.time_ns() // 1000


def _real(path: str | Path) -> Path:
    """The file behind a link to an index: journal and Milvus Lite lie beside that file, not beside the link."""
    return Path(os.path.realpath(path))


def _journal(path: Path) -> Path:
    path = _real(path)
    return path.with_name(f".{path.name}.journal")


def _read_journal(path: Path) -> dict[str, Any]:
    return files.read_json(_journal(path)) if _journal(path).is_file() else {}


def _built_into(path: Path, collection: Collection) -> bool:
    """Whether a building of that collection was begun and is not finished."""
    began = _read_journal(path).get("building")
    return bool(began) and (_full_uri(began[0], path), began[1]) == (collection.uri, collection.name)


def _built_for(path: Path, replace: bool) -> list[list[str]]:
    """Address, name and build of the collections that may be dropped as the index's own: one that a killed process began and, with ``replace``, that of its JSON."""
    told, began = description_of(path) if replace else {}, _read_journal(path).get("building", [])
    return [[told.get("uri", ""), told.get("collection", ""), told.get("build", "")], began]


def _stored_uri(uri: str, path: Path) -> str:
    """The address for the JSON: that of a Milvus Lite inside the index's folder is relative, so that both can be moved together."""
    if not is_lite(uri):
        return uri
    absolute, folder = _real(os.path.dirname(uri) or ".") / os.path.basename(uri), _real(path).parent
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)


def _full_uri(stored: str, path: Path) -> str:
    return os.path.abspath(_real(path).parent / stored) if is_lite(stored) else stored
