"""The ``.mat`` result file that is common in the field: query and gallery in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import UserError
from .foreign import named, read
from .vectors import Embeddings


def load_result_mat(path: files.Pathlike) -> tuple[Embeddings, Embeddings]:
    """Query and gallery from the result file that is common in the field.

    It holds ``query_f``, ``query_label``, ``query_cam``, ``gallery_f``, ``gallery_label``, ``gallery_cam``. Features are
    ``(N, D)``, or ``(D, N)`` where only that fits the labels.

    Raises:
        UserError: the file is missing or unreadable, or lacks one of the six.
    """
    import scipy.io

    path = Path(path)
    names = [f"{part}_{column}" for part in ("query", "gallery") for column in ("f", "label", "cam")]

    def reader(path: Path) -> dict[str, Any]:
        try:
            return scipy.io.loadmat(path, variable_names=names)
        except NotImplementedError:
            raise UserError(f"{path} is a MATLAB 7.3 file", "Save it with save(..., '-v7') in MATLAB.") from None

    values = read(path, reader)
    missing = [name for name in names if name not in values]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}", f"A result file holds {', '.join(names)}.")
    return _part(path, values, "query"), _part(path, values, "gallery")


def _part(path: Path, values: dict[str, Any], part: str) -> Embeddings:
    features, labels, cameras = (np.asarray(values[f"{part}_{column}"]) for column in ("f", "label", "cam"))
    labels, cameras = labels.reshape(-1), cameras.reshape(-1)
    if features.ndim == 2 and features.shape[0] != len(labels) and features.shape[1] == len(labels):
        features = features.T
    return named(path, {"vectors": features, "labels": labels, "cameras": cameras})
