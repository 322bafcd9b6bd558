"""Embeddings of several files as those of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from .vectors import Embeddings

UNKNOWN = int(np.iinfo(np.int64).min)
"""Label or camera of an image of which it is not known."""


def joined(parts: Sequence[Embeddings]) -> Embeddings:
    """Embeddings joined in the given order; labels or cameras that only some parts know are ``UNKNOWN`` in the others.

    Raises:
        UserError: the parts are of different networks or dimensions, or only some are averaged with mirrored images.
    """
    first = parts[0]
    flips = check_joinable([traits(part) for part in parts])
    if len(parts) == 1:
        return first
    columns = {}
    for name in ("labels", "cameras"):
        known = [getattr(part, name) for part in parts]
        columns[name] = None if all(column is None for column in known) else np.concatenate([or_unknown(getattr(part, name), len(part)) for part in parts])
    paths = None if any(part.paths is None for part in parts) else [path for part in parts for path in part.paths or ()]
    return Embeddings(np.concatenate([part.vectors for part in parts]), paths=paths, model=first.model, flip=next(iter(flips), None), **columns)


Traits = tuple[int, str, "bool | None"]
"""What parts must have in common: dimension, network and mirrored images."""


def traits(part: Embeddings) -> Traits:
    return part.dimension, part.model, part.flip


def check_joinable(parts: Sequence[Traits]) -> set[bool]:
    """What is known of mirrored images: one answer or none. Raises ``UserError`` as ``joined``."""
    if len({(dimension, model) for dimension, model, _ in parts}) > 1:
        raise UserError("the files of embeddings are of different networks", "Distances between two networks mean nothing: embed all images with the same.")
    flips = {flip for _, _, flip in parts if flip is not None}
    if len(flips) > 1:
        raise UserError("some of the embeddings are averaged with those of mirrored images, and some are not", "Embed all with --flip, or all without.")
    return flips


def or_unknown(column: np.ndarray | None, length: int) -> np.ndarray:
    """The column, or where there is none, one of ``UNKNOWN``."""
    return np.full(length, UNKNOWN, np.int64) if column is None else column
