"""What the server does, without the web: embeds, searches, compares, and says how it is. Any number of threads may call it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
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


class Service:
    """An index with the network that embedded it.

    Args:
        index: the gallery.
        trained: the network.
        checkpoint: the network's name in messages.
        pictures: of the images in the index.
        flip: whether embeddings are averaged with those of the mirrored images, as those of the index were.
        prior: share of genuine pairs that probabilities are given at, where a request names none; none means the calibration's.

    Raises:
        UserError: the network does not fit the index, or the prior is not between 0 and 1.
    """

    def __init__(self, index: Index, trained: Trained, checkpoint: str, pictures: Pictures, *, flip: bool = False, prior: float | None = None) -> None:
        if prior is not None and not 0 < prior < 1:
            raise UserError(f"a prior of {prior}", "It must lie between 0 and 1: the share of genuine pairs among those that are asked about.")
        search.check_network(trained, index.about, index.path, checkpoint)
        _ = trained.embedder  # made now, so that the first request does not wait for it
        self.index, self.trained, self.checkpoint, self.pictures, self.flip = index, trained, checkpoint, pictures, flip
        self._prior, self._trouble = prior, ""
        self._refreshing = threading.Lock()
        self._calibrate()

    def _calibrate(self) -> None:
        from ...evaluation import calibration

        file = self._calibration_file()  # before it is read: one that comes meanwhile is seen next time
        found, why_not = search.calibration_for(self.index, self.trained, flip=self.flip)
        self.why_not = "" if found else why_not or f"{self.checkpoint} has no calibration: {calibration.making(self.trained, self.checkpoint)} makes one"
        self.calibration: Calibration | None = found
        self._calibrated_by = file

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
        self.refresh()
        row = None if question.image is not None else self._row(question.id, question.path)
        vector = self.embed(question.image or b"") if row is None else self._vector(row)
        calibration = self._at(question.prior)
        if row is not None:  # it would find itself
            wanted = dataclasses.replace(wanted, without=int(row.ids[0]))
        found = self._asked(search.find, self.index, vector[None], wanted, calibration)
        hits = search.as_records(found, 0, self.index)
        why_not = self.why_not or wanted.why_no_probability
        return {
            "query": None if row is None else self._records(row)[0],
            "hits": [self._pictured(hit) for hit in hits],
            "prior": calibration.prior if calibration and not why_not else None,
            "why_no_probability": why_not or None,
            "reranked": wanted.rerank is not None,
            "model": self.index.model,
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
        self.refresh()
        return {
            "status": "stale" if self._trouble else "ok",
            "trouble": self._trouble or None,
            "index": self.index.path.name,
            "images": self._asked(len, self.index),
            "backend": self.index.backend,
            "exact": self.index.exact,
            "metric": self.index.about.metric,
            "dimension": self.index.dimension,
            "model": self.trained.model_hash,
            "flip": self.flip,
            "calibrated": self.calibration is not None,
            "why_not": self.why_not or None,
            "prior": None if self.calibration is None else self._prior or self.calibration.prior,
            "pictures": self.pictures.root is not None,
        }

    def gallery(self, count: int, seed: int) -> dict[str, Any]:
        """The cameras, and some images by chance, the same for the same seed."""
        self.refresh()
        cameras = self._asked(self.index.cameras)
        return {"cameras": cameras.tolist(), "images": self._records(self._asked(self.index.sample, count, seed))}

    def picture(self, number: int, largest: int) -> bytes:
        """A JPEG of an image of the index, at most ``largest`` pixels a side. Raises ``Refused`` (404) where it is not there, or its file is not."""
        path = self._row(number, None).paths[0]
        jpeg = self.pictures.jpeg(path, largest)
        if jpeg is None:
            raise Refused(404, f"the file of image {number} is gone or damaged", "The index still knows its name and embedding.")
        return jpeg

    # --- the index, as it is now -------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Takes over what other processes have changed; while one thread does, others answer from the former state."""
        if not self._refreshing.acquire(blocking=False):
            return
        try:
            if self.index.refresh(self._fits) or self._calibrated_by != self._calibration_file():
                self._calibrate()
            self._trouble = ""
        except UserError as error:
            self._trouble = str(error)
        finally:
            self._refreshing.release()

    def _fits(self, about: About) -> None:
        search.check_network(self.trained, about, self.index.path, self.checkpoint)

    def _asked(self, function: Callable[..., Result], *arguments: Any) -> Result:
        try:
            return function(*arguments)
        except UserError as error:  # not the request's fault, which was checked before
            raise _unable(error) from None

    def _row(self, number: int | None, path: str | None) -> Rows:
        try:
            return self._asked(self.index.rows, [number]) if path is None else self._asked(self.index.by_path, [path])
        except KeyError:
            name = f"image {number}" if path is None else f"image {path!r}"
            raise Refused(404, f"the index has no {name} (any more)", "It was deleted, or the index built anew; GET /gallery shows some that there are.") from None

    def _vector(self, row: Rows) -> np.ndarray:
        try:
            return self._asked(self.index.vectors, row.ids)[0]
        except KeyError:
            raise Refused(404, f"image {row.paths[0]!r} has just been deleted", "Search for another one.") from None

    def _embedded(self, data: bytes, *, flip: bool) -> np.ndarray:
        trained = self.trained
        image = uploads.decode(data, trained.size, trained.crop)
        return trained.vectors(MemoryImages.of(np.stack([image])), flip=flip)[0]

    def _at(self, prior: float | None) -> Calibration | None:
        prior = prior or self._prior
        return self.calibration if self.calibration is None or prior is None else dataclasses.replace(self.calibration, prior=prior)

    def _records(self, rows: Rows) -> list[dict[str, Any]]:
        columns = zip(rows.ids, rows.paths, rows.labels, rows.cameras, strict=True)
        return [self._pictured(search.record_of(self.index, *values)) for values in columns]

    def _pictured(self, record: dict[str, Any]) -> dict[str, Any]:
        """With the address of its picture; null where the file is gone."""
        return {**record, "picture": None if self.pictures.file_of(record["path"]) is None else f"/image/{record['id']}"}


def _unable(error: UserError) -> Refused:
    """A 503 for an error that is not the request's fault, and may be over soon."""
    return Refused(503, error.message, error.hint, {"Retry-After": "10"})
