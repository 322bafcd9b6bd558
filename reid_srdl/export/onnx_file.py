"""ONNX: one file with graph, weights and facts."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from ..models.exported_engine import NAME, library
from ..models.exported_facts import EMBEDDING, IMAGES, LOGITS, ExportFacts


def write(program: torch.export.ExportedProgram, facts: ExportFacts, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Input ``images``, outputs ``embedding`` and, where there are labels, ``logits``; the number of images is free.

    Raises:
        UserError: onnx or onnxscript is not installed.
    """
    library("onnx"), library("onnxscript")
    with _quiet():
        made = torch.onnx.export(
            program, (), dynamo=True, input_names=[IMAGES], output_names=[EMBEDDING, *([LOGITS] if facts.labels else [])], verbose=False, external_data=False
        )
    made.model.metadata_props[NAME] = facts.as_json()
    made.save(path, external_data=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its own steps and of other libraries' future; what goes wrong it raises."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
