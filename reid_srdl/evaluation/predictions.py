"""What a network said of each image of a classification set, and the file of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import files
from ..errors import UserError
from ..shell import command

FILE = "predictions.npz"


@dataclass(frozen=True, eq=False)
class Predictions:
    """N images and what was said of each.

    Args:
        paths: N paths, relative to the split's root.
        labels: the data set's own, int64 ``(N,)``.
        predicted: the label that was thought most probable, int64 ``(N,)``.
        confidence: its probability, float32 ``(N,)``.
        of_label: probability of the right label, float32 ``(N,)``.
        classes: all labels that there are, ascending, int64 ``(C,)``.
        names: the names of ``classes``.
    """

    paths: tuple[str, ...]
    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    of_label: np.ndarray
    classes: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def right(self) -> np.ndarray:
        """Which predictions are right: bool ``(N,)``."""
        return self.predicted == self.labels

    def name(self, label: int) -> str:
        """The name of a class, by its label."""
        return self.names[int(np.searchsorted(self.classes, label))]


def save(predictions: Predictions, path: files.Pathlike) -> None:
    """Writes an ``.npz``, whole or not at all."""
    out = io.BytesIO()
    columns = {name: getattr(predictions, name) for name in ("labels", "predicted", "confidence", "of_label", "classes")}
    np.savez_compressed(out, paths=np.array(predictions.paths, dtype=np.str_), names=np.array(predictions.names, dtype=np.str_), **columns)
    files.write_bytes(path, out.getvalue())


def load(path: files.Pathlike) -> Predictions:
    """Reads what ``save`` wrote. Raises ``UserError`` where the file is missing, damaged, or of another kind."""
    path = Path(path)
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in ("labels", "predicted", "confidence", "of_label", "classes")}
            return Predictions(paths=tuple(archive["paths"].tolist()), names=tuple(archive["names"].tolist()), **columns)
    except Exception as error:  # a damaged archive fails anywhere in its readers
        raise UserError(f"{path} cannot be read as predictions ({error})", f"It is written anew by: {command('eval', '--checkpoint', 'RUN')}") from None
