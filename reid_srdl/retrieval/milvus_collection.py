"""A collection in Milvus: its fields, and the queries to it; whatever goes wrong there becomes a ``UserError`` of one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..embeddings import UNKNOWN
from ..errors import UserError
from .index import About, Hits, Track, empty_hits
from .milvus_connection import check_address, connected, first_line, is_lite, release
from .rows import Rows, as_objects

ANSWER_SECONDS = 120.0
"""Seconds after which a query is given up."""

DEEPEST = 16_384
"""Hits that Milvus hands out at most."""

_MESSAGE_BYTES = 8 << 20
_LITE_BYTES = 64 << 20
_LONGEST_PATH = 65_535
"""Bytes of a path that Milvus holds at the most."""
_NO_COLLECTION = 100
"""Milvus' code for a collection that is not there."""
_PROPERTY = "reid_srdl."
_KNOWN = ["id", "key", "path", "label", "camera"]


def check_paths(paths: Iterable[str]) -> None:
    """Raises ``UserError`` for a path that is too long for Milvus, before anything is changed there."""
    for path in paths:
        if len(path.encode("utf-8", "surrogateescape")) > _LONGEST_PATH:
            raise UserError(f"the path {path[:60]}… is too long for Milvus", f"It takes {_LONGEST_PATH:,} bytes at the most; shorten it, or use the backend faiss.")


def check_name(name: str, most: int = 255) -> None:
    """Raises ``UserError`` for what is no name of a collection, or has more than ``most`` characters."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or len(name) > most:
        raise UserError(f"{name[:60]!r}{' (and so on)' * (len(name) > 60)} is no name of a collection", f"Letters, digits and underscores make one, {most} at most, and no digit comes first.")


class Collection:
    """A connection to one collection.

    Args:
        uri: address, or absolute path that ends in ``.db``.
        name: of the collection.
        token: of a server that asks for one.

    Raises:
        UserError: pymilvus is not installed; the Milvus does not answer; another process has the Milvus Lite open.
    """

    def __init__(self, uri: str, name: str, token: str | None = None) -> None:
        check_name(name)
        check_address(uri)
        self.uri, self.name, self._lite = uri, name, is_lite(uri)
        self._client = connected(uri, token)
        self._closed = False
        self._size = 0  # rows at most, for Milvus Lite

    # --- the collection itself -------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        with self._asking():
            return bool(self._client.has_collection(self.name, timeout=ANSWER_SECONDS))

    def create(self, about: About, build: str) -> None:
        """Creates an empty collection with a flat, exact index by the squared Euclidean distance; ``build`` tells it from all others of its name."""
        from pymilvus import DataType

        with self._asking():
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("key", DataType.INT64)
            schema.add_field("path", DataType.VARCHAR, max_length=_LONGEST_PATH)
            schema.add_field("label", DataType.INT64)
            schema.add_field("camera", DataType.INT64)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=about.dimension)
            index = self._client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="L2")
            properties = {f"{_PROPERTY}format": "1", f"{_PROPERTY}model": about.model, f"{_PROPERTY}build": build}
            # Strong: what has been added is found by the next search, whoever asks.
            self._client.create_collection(self.name, schema=schema, index_params=index, properties=properties, consistency_level="Strong", timeout=ANSWER_SECONDS)

    def drop(self) -> None:
        """Drops the collection. Raises ``UserError`` where it was not made by this package."""
        if f"{_PROPERTY}format" not in self._described().get("properties", {}):
            raise UserError(f"the collection {self.name} at {self.uri} was not made here, and is left alone", "Choose another name, as collection or --collection.")
        with self._asking():
            self._client.drop_collection(self.name, timeout=ANSWER_SECONDS)

    def build(self) -> str:
        """The ``build`` that it was created with; empty where others made it."""
        return str(self._described().get("properties", {}).get(f"{_PROPERTY}build", ""))

    def load(self, about: About, path: Path, build: str) -> None:
        """Makes it ready to be searched. Raises ``UserError`` where it is gone, or not the one that ``path`` describes and that was created with ``build``."""
        if not self.exists():
            raise UserError(f"{self.uri} has no collection {self.name} (any more)", f"Build {path} anew with the command index and --replace.")
        described = self._described()
        properties = described.get("properties", {})
        dimensions = [int(part["params"]["dim"]) for part in described["fields"] if part["name"] == "vector"]
        if properties.get(f"{_PROPERTY}model") != about.model or dimensions != [about.dimension]:
            raise UserError(f"the collection {self.name} at {self.uri} is not the one that {path} describes", "Another index was built under its name: choose another --collection.")
        # Two indices of the same network may still differ in metric, flip and images.
        if properties.get(f"{_PROPERTY}build") != build:
            raise UserError(f"the collection {self.name} at {self.uri} has been built anew by another index since {path} was", f"Build {path} anew with --replace and another --collection.")
        with self._asking():
            self._client.load_collection(self.name, timeout=ANSWER_SECONDS)
        self._size = self.count() if self._lite else 0

    def _described(self) -> dict[str, Any]:
        with self._asking():
            return self._client.describe_collection(self.name, timeout=ANSWER_SECONDS)

    # --- its rows --------------------------------------------------------------------------------------------------------

    def count(self) -> int:
        with self._asking():
            return int(self._client.query(self.name, filter="", output_fields=["count(*)"], timeout=ANSWER_SECONDS)[0]["count(*)"])

    def insert(self, rows: Rows, keys: np.ndarray, vectors: np.ndarray, track: Track = iter) -> None:
        """Inserts rows, some thousands at a time."""
        step = self._rows_a_message(vectors.shape[1])
        self._size += len(rows)
        for start in track(range(0, len(rows), step)):
            some = range(start, min(start + step, len(rows)))
            data = [
                {
                    "id": int(rows.ids[row]), "key": int(keys[row]), "path": rows.paths[row], "label": int(rows.labels[row]),
                    "camera": int(rows.cameras[row]), "vector": vectors[row],
                }
                for row in some
            ]  # fmt: skip
            with self._asking():
                self._client.insert(self.name, data, timeout=ANSWER_SECONDS)
        if self._lite:  # Milvus Lite searches rows in its log some fifteen times slower; servers flush by themselves
            with self._asking():
                self._client.flush(self.name, timeout=ANSWER_SECONDS)

    def delete(self, ids: Sequence[int]) -> None:
        for start in range(0, len(ids), 1000):
            with self._asking():
                self._client.delete(self.name, ids=list(map(int, ids[start : start + 1000])), timeout=ANSWER_SECONDS)

    def delete_between(self, first: int, last: int) -> None:
        """Deletes all rows with ids from ``first`` to ``last``, both included."""
        with self._asking():
            self._client.delete(self.name, filter=f"id >= {first} and id <= {last}", timeout=ANSWER_SECONDS)

    def ids_of(self, keys: dict[int, str]) -> list[int]:
        """Ids of the rows with these keys and paths."""
        wanted, ids = list(keys), []
        for start in range(0, len(wanted), 1000):
            with self._asking():
                some = ", ".join(map(str, wanted[start : start + 1000]))
                found = self._client.query(self.name, filter=f"key in [{some}]", output_fields=["id", "key", "path"], timeout=ANSWER_SECONDS)
            ids += [int(row["id"]) for row in found if keys[int(row["key"])] == row["path"]]
        return ids

    def rows(self, ids: Sequence[int] | np.ndarray) -> Rows:
        """Rows in the order of ``ids``. Raises ``KeyError`` for an id that is not there."""
        found: dict[int, dict[str, Any]] = {}
        unique = np.unique(np.asarray(ids, np.int64))
        for start in range(0, len(unique), 1000):
            with self._asking():
                some = self._client.get(self.name, ids=unique[start : start + 1000].tolist(), output_fields=_KNOWN, timeout=ANSWER_SECONDS)
            found |= {int(row["id"]): row for row in some}
        return _as_rows([found[int(number)] for number in ids])

    def cameras(self) -> np.ndarray:
        """The cameras, int64, ascending. Milvus cannot query distinct values, so it is asked for one more camera until there is none: one query each."""
        seen: list[int] = []
        while True:
            others = f" and camera not in [{', '.join(map(str, seen))}]" if seen else ""
            with self._asking():
                found = self._client.query(self.name, filter=f"camera > {UNKNOWN + 1}{others}", output_fields=["camera"], limit=1, timeout=ANSWER_SECONDS)
            if not found:
                return np.array(sorted(seen), np.int64)
            seen.append(int(found[0]["camera"]))

    def some(self, count: int, seed: int) -> Rows:
        """``count`` rows drawn at random, in the order of their ids: keys are hashes, so the rows in a range of keys are a random sample."""
        total, random = self.count(), np.random.default_rng(seed)
        share = 1.0 if count >= total else min(1.0, (2 * count + 20) / total)
        while True:
            first = int(random.integers(int((1 - share) * 2**63), endpoint=True)) if share < 1 else 0
            last = min(first + int(share * 2**63), 2**63 - 1)
            with self._asking():
                found = self._client.query(self.name, filter=f"key >= {first} and key <= {last}", output_fields=_KNOWN, limit=DEEPEST, timeout=ANSWER_SECONDS)
            if len(found) >= min(count, total) or share == 1:
                break
            share = min(1.0, 2 * share)
        kept = sorted(found, key=lambda row: int(row["key"]))
        kept = [kept[place] for place in random.permutation(len(kept))[:count]]
        return _as_rows(sorted(kept, key=lambda row: int(row["id"])))

    def vectors(self, ids: np.ndarray, dimension: int) -> np.ndarray:
        """Vectors float32 ``(N, D)`` in the order of ``ids``. Raises ``KeyError`` for an id that is not there."""
        unique = np.unique(ids)
        found: dict[int, Any] = {}
        step = self._rows_a_message(dimension)
        for start in range(0, len(unique), step):
            with self._asking():
                rows = self._client.get(self.name, ids=unique[start : start + step].tolist(), output_fields=["id", "vector"], timeout=ANSWER_SECONDS)
            found |= {int(row["id"]): row["vector"] for row in rows}
        return np.array([found[int(number)] for number in ids], np.float32).reshape(len(ids), dimension)

    def search(self, vectors: np.ndarray, depth: int, cameras: Sequence[int] | None) -> Hits:
        """As ``Index.search``."""
        if cameras is not None and not len(cameras):
            return empty_hits(len(vectors), 0)
        chosen = "" if cameras is None else f"camera in [{', '.join(str(int(camera)) for camera in cameras)}]"
        step, found = self._queries_a_message(vectors.shape[1], depth), []
        for start in range(0, len(vectors), step):
            with self._asking():
                found += self._client.search(
                    self.name, data=list(vectors[start : start + step]), limit=depth, filter=chosen, output_fields=["path", "label", "camera"],
                    search_params={"metric_type": "L2"}, timeout=ANSWER_SECONDS,
                )  # fmt: skip
        ordered = [sorted(((float(hit["distance"]), int(hit["id"]), hit["entity"]) for hit in part), key=lambda hit: hit[:2]) for part in found]
        hits = empty_hits(len(vectors), max(map(len, ordered), default=0))
        for row, part in enumerate(ordered):
            for place, (distance, number, entity) in enumerate(part):
                hits.ids[row, place], hits.distances[row, place], hits.paths[row, place] = number, distance, entity["path"]
                hits.labels[row, place], hits.cameras[row, place] = entity["label"], entity["camera"]
        return hits

    def _rows_a_message(self, dimension: int) -> int:
        return max(1, min(5000, _MESSAGE_BYTES // (4 * dimension + 512)))

    def _queries_a_message(self, dimension: int, depth: int) -> int:
        if self._lite:  # Milvus Lite holds the differences of all queries and all vectors before it sums
            return max(1, min(1000, _LITE_BYTES // max(1, 4 * dimension * self._size)))
        return max(1, min(1000, _MESSAGE_BYTES // (4 * dimension), _MESSAGE_BYTES // (256 * depth)))

    # --- connection ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Gives the connection up."""
        if self._closed:
            return
        self._closed = True
        self._client.close()
        if self._lite:
            release(self.uri)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        import grpc
        from pymilvus.exceptions import MilvusException

        if self._closed:
            raise ValueError("the index is closed")
        try:
            yield
        except MilvusException as error:
            hint = "Is it up, and are its disk and memory not full?"
            if error.code == _NO_COLLECTION:
                hint = "Its index was deleted or, if it was built anew meanwhile, is there again when it is opened anew."
            raise UserError(f"the Milvus at {self.uri} refused: {first_line(error.message)}", hint) from None
        except grpc.RpcError as error:
            raise UserError(f"the Milvus at {self.uri} does not answer ({first_line(str(error))})", "Is it up?") from None


def _as_rows(found: Sequence[dict[str, Any]]) -> Rows:
    ids, labels, cameras = (np.array([int(row[name]) for row in found], np.int64) for name in ("id", "label", "camera"))
    return Rows(ids, ids, as_objects([row["path"] for row in found]), labels, cameras)
