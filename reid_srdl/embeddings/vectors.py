"""Embeddings of images with what is known about each image."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..errors import UserError

SAME_IMAGE = 2e-2
"""Vectors that differ by less than this share of their length are of one image, embedded twice: on another device, in bf16, or by an exported file.
Two crops of the demo differ by 11% at least."""
_BLOCK = 1 << 22
"""Numbers checked at a time, so that checking a memory-mapped array does not load it into memory."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """N vectors, one per image.

    Args:
        vectors: ``(N, D)``, all finite, an array or a tensor; kept as a float32 array. A memory-mapped float32 array stays memory-mapped.
        paths: N paths of the images; None where unknown.
        labels: int64 ``(N,)``, people from 1 on: 0 is a distractor, -1 is junk, and a query of either matches nothing. None where unlabelled (which is not junk).
        cameras: int64 ``(N,)``; None where unknown.
        model: hash of the network that made the vectors; empty where unknown.
        flip: whether each vector is averaged with that of the mirrored image; None where unknown.

    Raises:
        UserError: columns of different lengths, labels or cameras that are not whole numbers, a vector that is not finite (its row and path are named).
    """

    vectors: np.ndarray
    paths: tuple[str, ...] | None = None
    labels: np.ndarray | None = None
    cameras: np.ndarray | None = None
    model: str = ""
    flip: bool | None = None

    def __post_init__(self) -> None:
        # A tensor may require a gradient, lie on a GPU, or have a precision that NumPy lacks.
        vectors = self.vectors.detach().float().cpu().numpy() if isinstance(self.vectors, torch.Tensor) else np.asarray(self.vectors)
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or (len(vectors) and not vectors.shape[1]):
            raise UserError(f"vectors of shape {vectors.shape} and type {vectors.dtype} are no embeddings", "They must be numbers (N, D).")
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below, by row
            object.__setattr__(self, "vectors", np.ascontiguousarray(vectors, dtype=np.float32))
        for column in ("labels", "cameras"):
            if getattr(self, column) is not None:
                object.__setattr__(self, column, _whole_numbers(getattr(self, column), column, len(vectors)))
        if self.paths is not None:
            for path in self.paths:
                if not isinstance(path, (str, bytes, os.PathLike)):
                    raise UserError(f"paths hold {path!r}, which is no path", "They name images; labels and cameras are fields of their own: Embeddings(vectors, labels=..., cameras=...).")
            object.__setattr__(self, "paths", tuple(str(os.fsdecode(path)) for path in self.paths))
            if len(self.paths) != len(vectors):
                raise UserError(f"{len(vectors):,} vectors, but {len(self.paths):,} paths", "Each vector needs one.")
        self._refuse_what_is_not_finite()

    def _refuse_what_is_not_finite(self) -> None:
        step = max(1, _BLOCK // max(1, self.dimension))
        for start in range(0, len(self), step):
            finite = np.isfinite(self.vectors[start : start + step]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                of = f" ({self.paths[row]})" if self.paths is not None else ""
                raise UserError(f"the vector in row {row}{of} holds NaN or infinity", "Rows are counted from 0; leave this one out, or embed it again.")

    def __repr__(self) -> str:
        return f"Embeddings({len(self):,} vectors of {self.dimension} numbers, with {', '.join(known(self)) or 'nothing known of them'})"

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """D."""
        return self.vectors.shape[1]

    def take(self, rows: np.ndarray) -> Embeddings:
        """The given rows (indices or a mask), in their order."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return dataclasses.replace(
            self,
            vectors=self.vectors[rows],
            paths=None if self.paths is None else tuple(self.paths[row] for row in rows),
            labels=None if self.labels is None else self.labels[rows],
            cameras=None if self.cameras is None else self.cameras[rows],
        )


def short_hash(model: str) -> str:
    """The beginning of a network's hash, for people to read."""
    return f"{model[:12]}…" if model else "(unknown)"


def check_mirrored(these: tuple[str, bool | None], those: tuple[str, bool | None], hint: str) -> None:
    """Raises ``UserError`` where one of two sets of vectors is averaged with mirrored images and the other is not, if both are known. Each is (words for it, ``flip``)."""
    (one, first), (other, second) = these, those
    if None not in (first, second) and first != second:
        raise UserError(f"{one} are{'' if first else ' not'} averaged with those of mirrored images, and {other} are{'' if second else ' not'}", hint)


def no_text(paths: Sequence[str]) -> str | None:
    """The first path that is not valid UTF-8, spelled out so that it can be shown; None where all are. File names may be such, but tables and pages cannot hold them."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            # An undecodable byte of a file name is shown as \xNN; other surrogates, which no file name has, as \uNNNN.
            return re.sub("[\ud800-\udfff]", lambda one: f"\\x{ord(one[0]) - 0xDC00:02x}" if "\udc80" <= one[0] <= "\udcff" else f"\\u{ord(one[0]):04x}", path)
    return None


def known(piece: Embeddings) -> tuple[str, ...]:
    """Names of the columns (``paths``, ``labels``, ``cameras``) that are known."""
    return tuple(name for name in ("paths", "labels", "cameras") if getattr(piece, name) is not None)


def _whole_numbers(column: Any, name: str, length: int) -> np.ndarray:
    values = np.asarray(column)
    if values.shape != (length,):
        raise UserError(f"{length:,} vectors, but {name} of shape {values.shape}", "Each vector needs one.")
    whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((np.isfinite(values) & (values == np.rint(values))).all()))
    if not whole and length:
        raise UserError(f"{name} are of type {values.dtype}, not whole numbers", "Number them, alike in the files of query and gallery.")
    if length and not (np.iinfo(np.int64).min <= values.min() and values.max() < 2**63):
        raise UserError(f"{name} go up to {values.max()}, which is too large a number", "Number them from 1.")
    return values.astype(np.int64)
