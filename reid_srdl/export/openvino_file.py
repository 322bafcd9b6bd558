"""OpenVINO: ``.xml`` with the graph and the facts, ``.bin`` with the weights, made from ONNX."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from ..models.exported_engine import NAME, library
from ..models.exported_facts import ExportFacts
from . import onnx_file


def write(program: torch.export.ExportedProgram, facts: ExportFacts, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Weights stay float32 in ``fp32`` and in ``bf16``, which is a word to the processor only; ``int8`` rounds weights and activations.

    Args:
        program: what is written.
        facts: what the file says of itself.
        path: ends in ``.xml``.
        calibration: images uint8 ``(1, 3, H, W)`` that the ranges of int8 are taken from.

    Raises:
        UserError: openvino, nncf or an exporter of ONNX is not installed; bf16 on a processor that has none, where nothing could be checked.
    """
    openvino = library("openvino")
    core = openvino.Core()
    if facts.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UserError("this processor does not compute in bf16, so the file could not be checked", "Export with --precision fp32 or int8, or on another machine.")
    with tempfile.TemporaryDirectory() as folder:
        onnx_file.write(program, facts, Path(folder) / "network.onnx")
        model = core.read_model(Path(folder) / "network.onnx")
        if facts.precision == "int8":
            model = _rounded(model, calibration)
        model.set_rt_info(facts.as_json(), [NAME])
        openvino.serialize(model, path, path.with_suffix(".bin"))


def _rounded(model: Any, calibration: Sequence[np.ndarray]) -> Any:
    """Post-training quantisation (NNCF): a scale for each weight channel, and one for each activation from what calibration images do in it."""
    nncf = library("nncf")
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        # MIXED leaves activations that go below 0 their own zero point, which networks without ReLU everywhere need.
        return nncf.quantize(model, nncf.Dataset(list(calibration)), subset_size=len(calibration), preset=nncf.QuantizationPreset.MIXED)
    finally:
        logger.setLevel(level)
