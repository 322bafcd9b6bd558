"""What scoring has to know of each image beside its vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..devices import Place
from ..embeddings import Embeddings, check_joinable, check_mirrored, short_hash, traits
from ..errors import UserError


@dataclass(frozen=True, eq=False)
class Columns:
    """Who is on N images and which camera took each: int64 ``(N,)``; None where unknown."""

    labels: np.ndarray | None
    cameras: np.ndarray | None

    def __len__(self) -> int:
        return 0 if self.labels is None else len(self.labels)

    @staticmethod
    def of_all(part: Embeddings, place: Place) -> Columns:
        """Those of a gallery of which each process has a part. All processes must call it, and all get them.

        Raises:
            UserError: parts of different networks, or of which only some have labels, or cameras; the own one may be alike in itself.
        """
        told, gathered = zip(*place.gathered((traits(part), (part.labels, part.cameras))), strict=True)
        check_joinable(told)
        columns = []
        for name, column in zip(("labels", "cameras"), zip(*gathered, strict=True), strict=True):
            if len({one is None for one in column}) > 1:
                raise UserError(f"only some parts of the gallery have {name}", "The parts of a gallery must say the same of their images.")
            columns.append(None if column[0] is None else np.concatenate(column))
        return Columns(*columns)


def require(query: Any, gallery: Any, *, same_camera: bool) -> None:
    """Raises ``UserError`` where query or gallery have no labels, or have no cameras although the rules look at them.

    Args:
        query, gallery: ``Embeddings``, or splits.
        same_camera: cameras are not looked at.
    """
    for part, name in ((query, "query"), (gallery, "gallery")):
        if not hasattr(part, "labels") or not hasattr(part, "cameras"):
            raise UserError(f"the {name} is of type {type(part).__name__}", "Say whose the vectors are: Embeddings(vectors, labels=..., cameras=...).")
        if part.labels is None:
            raise UserError(f"the {name} vectors have no labels", "Scoring needs to know who is who: save them with the column labels.")
        if part.cameras is None and not same_camera:
            raise UserError(f"the {name} vectors have no cameras", "Save them with the column cameras, or leave cameras out of the rules: same_camera=True, in the command eval --ignore_camera.")


def require_one_dimension(query: Embeddings, gallery: Embeddings) -> None:
    """Raises ``UserError`` where query and gallery vectors differ in dimension."""
    if query.dimension != gallery.dimension:
        raise UserError(f"query vectors have {query.dimension} numbers, gallery vectors {gallery.dimension}", "Both must come from the same network.")


def require_one_network(query: Embeddings, gallery: Embeddings) -> None:
    """Raises ``UserError`` where query and gallery are known to come from different networks, or only one of them to be averaged with mirrored images."""
    require_one_dimension(query, gallery)
    if query.model and gallery.model and query.model != gallery.model:
        raise UserError(
            f"the query vectors are of the network {short_hash(query.model)}, and the gallery vectors of {short_hash(gallery.model)}",
            "Distances between two networks mean nothing: embed both with the same.",
        )
    check_mirrored(("the query vectors", query.flip), ("the gallery vectors", gallery.flip), "Embed both with --flip, or both without.")
