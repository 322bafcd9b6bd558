"""What the server does, without the web: embeds, searches, compares, and says how it is. Any number of threads may call it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...data.images import MemoryImages
from ...errors import UserError
from .. import search
from ..index import About, Index
from ..keeping import stamp_of
from ..rows import Rows
from ..search import Wanted
from . import uploads
from .pictures import Pictures
from .refused import Refused

if TYPE_CHECKING:
    from ...evaluation.calibration import Calibration
    from ...runs import Trained

Result = TypeVar("Result")


@dataclass(frozen=True)
class Question:
    """What is searched for: an upload, or an image of the index by id or path.

    Args:
        image: bytes of an upload.
        id, path: of an image of the index, which is then not among the hits.
        wanted: how many, and how.
        prior: share of genuine pairs that probabilities are given at; none means the server's.
    """

    image: bytes | None = None
    id: int | None = None
    path: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    prior: float | None = None


@dataclass(frozen=True, eq=False)
class Served:
    """The gallery as a request sees it from its beginning to its end, whatever is changed meanwhile.

    Args:
        index: a snapshot.
        pictures: of the images in it.
        calibration: of its distances; none where there is none that fits.
        why_not: why there is none.
        calibrated_by: the stamp of the calibration's file; empty where there is no file.
    """

    index: Index
    pictures: Pictures
    calibration: Calibration | None
    why_not: str
    calibrated_by: tuple[int, ...]


class Service:
    """An index with the network that embedded it.

    Args:
        index: the gallery.
        trained: the network.
        checkpoint: the network's name in messages.
        images: folder that the paths of the index are relative to; none means where the index says, also once it is built anew.
        flip: whether embeddings are averaged with those of the mirrored images, as those of the index were.
        prior: share of genuine pairs that probabilities are given at, where a request names none; none means the calibration's.

    Raises:
        UserError: the network does not fit the index, the prior is not between 0 and 1, or the folder of images is not there.
    """

    def __init__(self, index: Index, trained: Trained, checkpoint: str, images: Path | None = None, *, flip: bool = False, prior: float | None = None) -> None:
        if prior is not None and not 0 < prior < 1:
            raise UserError(f"a prior of {prior}", "It must lie between 0 and 1: the share of genuine pairs among those that are asked about.")
        search.check_network(trained, index.about, index.path, checkpoint)
        _ = trained.embedder  # made now, so that the first request does not wait for it
        self.index, self.trained, self.checkpoint, self.flip = index, trained, checkpoint, flip
        self._images, self._prior, self._trouble = images, prior, ""
        self._refreshing = threading.Lock()
        self.served = self._as_it_is(self._pictures())

    def _as_it_is(self, pictures: Pictures) -> Served:
        from ...evaluation import calibration

        file = self._calibration_file()  # before it is read: one that comes meanwhile is seen next time
        index = self.index.still()
        found, why_not = search.calibration_for(index, self.trained, flip=self.flip)
        why_not = "" if found else why_not or f"{self.checkpoint} has no calibration: {calibration.making(self.trained, self.checkpoint)} makes one"
        return Served(index, pictures, found, why_not, file)

    def _pictures(self) -> Pictures:
        root = self._images or self.index.about.root
        return Pictures(Path(root) if root else None)

    def _calibration_file(self) -> tuple[int, ...]:
        """The stamp of the calibration's file, which changes when the command calibrate replaces it. Empty where there is none."""
        kept = self.trained.calibration_file
        try:
            return stamp_of(kept) if kept is not None else ()
        except OSError:
            return ()

    # --- answers -----------------------------------------------------------------------------------------------------------

    def embed(self, data: bytes) -> np.ndarray:
        """The embedding float32 ``(D,)`` of an encoded image. Raises ``Refused`` where it is none."""
        return self._embedded(data, flip=self.flip)

    def search(self, question: Question) -> dict[str, Any]:
        """The hits as JSON can hold them.

        Raises:
            Refused: no query, or more than one; an id or path that is not there; an upload that is no image; an index that does not answer.
        """
        if sum(value is not None for value in (question.image, question.id, question.path)) != 1:
            raise Refused(422, "a search needs one of image, id and path", "Upload an image, or name one of the index.")
        wanted = question.wanted
        wanted.check()
        now = self.refresh()
        row = None if question.image is not None else _row(now, question.id, question.path)
        vector = self.embed(question.image or b"") if row is None else _vector(now, row)
        calibration = self._at(now, question.prior)
        if row is not None:  # it would find itself
            wanted = dataclasses.replace(wanted, without=int(row.ids[0]))
        found = _asked(search.find, now.index, vector[None], wanted, calibration)
        hits = search.as_records(found, 0, now.index)
        why_not = now.why_not or wanted.why_no_probability
        return {
            "query": None if row is None else _records(now, row)[0],
            "hits": [_pictured(now, hit) for hit in hits],
            "prior": calibration.prior if calibration and not why_not else None,
            "why_no_probability": why_not or None,
            "reranked": wanted.rerank is not None,
            "model": now.index.model,
        }

    def verify(self, one: bytes, other: bytes, probability: float = 0.5, prior: float | None = None) -> dict[str, Any]:
        """Whether two images show the same identity, by the network's calibration.

        Raises:
            Refused: no image; no calibration (409), or a damaged one (503).
        """
        from ...evaluation import calibration
        from ...evaluation.comparison import Comparison

        try:
            found = calibration.required(self.trained, self.checkpoint)
        except calibration.NotCalibrated as error:
            raise Refused(409, error.message, error.hint) from None
        except UserError as error:
            raise _unable(error) from None
        how = Comparison.by(found, probability, prior or self._prior)
        return {**how.of(*(self._embedded(data, flip=found.flip) for data in (one, other))), **how.facts(), "at": probability}

    def health(self) -> dict[str, Any]:
        """How it is, and what it serves. Raises ``Refused`` where the index does not answer."""
        now = self.refresh()
        return {
            "status": "stale" if self._trouble else "ok",
            "trouble": self._trouble or None,
            "index": now.index.path.name,
            "images": _asked(len, now.index),
            "backend": now.index.backend,
            "exact": now.index.exact,
            "metric": now.index.about.metric,
            "dimension": now.index.dimension,
            "model": self.trained.model_hash,
            "flip": self.flip,
            "calibrated": now.calibration is not None,
            "why_not": now.why_not or None,
            "prior": None if now.calibration is None else self._prior or now.calibration.prior,
            "pictures": now.pictures.root is not None,
        }

    def gallery(self, count: int, seed: int) -> dict[str, Any]:
        """The cameras, and some images by chance, the same for the same seed."""
        now = self.refresh()
        cameras = _asked(now.index.cameras)
        return {"cameras": cameras.tolist(), "images": _records(now, _asked(now.index.sample, count, seed))}

    def picture(self, number: int, largest: int) -> bytes:
        """A JPEG of an image of the index, at most ``largest`` pixels a side. Raises ``Refused`` (404) where it is not there, or its file is not."""
        now = self.refresh()
        jpeg = now.pictures.jpeg(_row(now, number, None).paths[0], largest)
        if jpeg is None:
            raise Refused(404, f"the file of image {number} is gone or damaged", "The index still knows its name and embedding.")
        return jpeg

    # --- the index, as it is now -------------------------------------------------------------------------------------------

    def refresh(self) -> Served:
        """Takes over what other processes have changed; while one thread does, others answer from the former state. Returns what there is now."""
        if not self._refreshing.acquire(blocking=False):
            return self.served
        try:
            if self.index.refresh(self._fits):
                self.served = self._as_it_is(self._pictures_if_there())
            elif self.served.calibrated_by != self._calibration_file():
                self.served = self._as_it_is(self.served.pictures)
            else:
                self.served = dataclasses.replace(self.served, index=self.index.still())
            self._trouble = ""
        except UserError as error:
            self._trouble = str(error)
        finally:
            self._refreshing.release()
        return self.served

    def _pictures_if_there(self) -> Pictures:
        """Those of an index that was built anew, whose folder may be another one; none where that is not there, since names can stand in their place."""
        try:
            return self._pictures()
        except UserError:
            return Pictures(None)

    def _fits(self, about: About) -> None:
        search.check_network(self.trained, about, self.index.path, self.checkpoint)

    def _embedded(self, data: bytes, *, flip: bool) -> np.ndarray:
        trained = self.trained
        image = uploads.decode(data, trained.size, trained.crop)
        return trained.vectors(MemoryImages.of(np.stack([image])), flip=flip)[0]

    def _at(self, now: Served, prior: float | None) -> Calibration | None:
        prior = prior or self._prior
        return now.calibration if now.calibration is None or prior is None else dataclasses.replace(now.calibration, prior=prior)


# --- of the gallery as a request sees it -----------------------------------------------------------------------------------


def _asked(function: Callable[..., Result], *arguments: Any) -> Result:
    try:
        return function(*arguments)
    except UserError as error:  # not the request's fault, which was checked before
        raise _unable(error) from None


def _row(now: Served, number: int | None, path: str | None) -> Rows:
    try:
        return _asked(now.index.rows, [number]) if path is None else _asked(now.index.by_path, [path])
    except KeyError:
        name = f"image {number}" if path is None else f"image {path!r}"
        raise Refused(404, f"the index has no {name} (any more)", "It was deleted, or the index built anew; GET /gallery shows some that there are.") from None


def _vector(now: Served, row: Rows) -> np.ndarray:
    try:
        return _asked(now.index.vectors, row.ids)[0]
    except KeyError:
        raise Refused(404, f"image {row.paths[0]!r} has just been deleted", "Search for another one.") from None


def _records(now: Served, rows: Rows) -> list[dict[str, Any]]:
    columns = zip(rows.ids, rows.paths, rows.labels, rows.cameras, strict=True)
    return [_pictured(now, search.record_of(now.index, *values)) for values in columns]


def _pictured(now: Served, record: dict[str, Any]) -> dict[str, Any]:
    """With the address of its picture; null where the file is gone."""
    return {**record, "picture": None if now.pictures.file_of(record["path"]) is None else f"/image/{record['id']}"}


def _unable(error: UserError) -> Refused:
    """A 503 for an error that is not the request's fault, and may be over soon."""
    return Refused(503, error.message, error.hint, {"Retry-After": "10"})
