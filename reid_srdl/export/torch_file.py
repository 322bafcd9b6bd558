"""PyTorch's own format: what ``torch.export`` saves, with the facts as one more file in the archive."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..models.exported_facts import ExportFacts
from ..models.exported_torch import EXTRA


def write(program: torch.export.ExportedProgram, facts: ExportFacts, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Writes a file that any Python with PyTorch can run: ``torch.export.load(path).module()(images)`` is a tuple, the embedding first."""
    # In memory first: on a full disk torch's own writer ends the process.
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={EXTRA: facts.as_json()})
    path.write_bytes(content.getbuffer())
