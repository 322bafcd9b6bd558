"""ONNX: one file with graph, weights and facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..models.exported_engine import NAME, library
from ..models.exported_facts import EMBEDDING, IMAGES, LOGITS, ExportFacts
from .quiet import quiet


def write(program: torch.export.ExportedProgram, facts: ExportFacts, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Writes a file with the input ``images`` and the outputs ``embedding`` and, where there are labels, ``logits``; the number of images is free.

    Raises:
        UserError: onnx or onnxscript is not installed.
    """
    library("onnx"), library("onnxscript")
    with quiet("torch.onnx"):
        made = torch.onnx.export(
            program, (), dynamo=True, input_names=[IMAGES], output_names=[EMBEDDING, *([LOGITS] if facts.labels else [])], verbose=False, external_data=False
        )
    made.model.metadata_props[NAME] = facts.as_json()
    made.save(path, external_data=False)
