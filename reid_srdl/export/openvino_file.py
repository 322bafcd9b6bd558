"""OpenVINO: ``.xml`` with the graph and the facts, ``.bin`` with the weights, made from ONNX."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError, first_line
from ..models import exported_openvino
from ..models.exported_engine import NAME, library
from ..models.exported_facts import ExportFacts
from . import onnx_file
from .quiet import quiet

_SIGMOIDS = ("Sigmoid", "HSigmoid", "HardSigmoid")


def check_precision(precision: str) -> None:
    """Raises ``UserError`` where this processor does not compute in ``precision``, so that a file could not be checked."""
    if precision == "bf16" and "BF16" not in exported_openvino.core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UserError("this processor does not compute in bf16, so the file could not be checked", "Export with --precision fp32 or int8, or on another machine.")


def write(program: torch.export.ExportedProgram, facts: ExportFacts, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Writes the two files. Weights stay float32 in ``fp32`` and in ``bf16``, which only tells the processor how to compute; ``int8`` rounds weights and activations.

    Args:
        program: what is written.
        facts: what the file says about itself.
        path: ends in ``.xml``.
        calibration: images uint8 ``(1, 3, H, W)`` that the ranges of int8 are taken from.

    Raises:
        UserError: openvino, nncf, onnx or onnxscript is not installed.
    """
    openvino = library("openvino")
    core = exported_openvino.core()
    with tempfile.TemporaryDirectory() as folder:
        onnx_file.write(program, facts, Path(folder) / "network.onnx")
        model = core.read_model(Path(folder) / "network.onnx")
        _simplify(model)
        if facts.precision == "int8":
            model = _rounded(model, calibration)
        model.set_rt_info(facts.as_json(), [NAME])
        try:
            openvino.serialize(model, path, path.with_suffix(".bin"))
        except RuntimeError as error:  # its streams do not say why, and it is nearly always room
            raise UserError(f"OpenVINO cannot write {path.name} ({first_line(error)})", "Free some space, or choose another folder with --output.") from None


def _simplify(model: Any) -> None:
    """Folds constants and merges BatchNorm into convolutions, as OpenVINO's converter does.

    In the graph as it is read from ONNX, weights still depend on computed shapes. With a free number of images, rounding such a graph
    gives wrong numbers on the CPU (a cosine of 0.4 for OSNet, where 0.99 is right).
    """
    library("openvino._offline_transformations").apply_moc_transformations(model, True)


def _rounded(model: Any, calibration: Sequence[np.ndarray]) -> Any:
    """Post-training quantisation (NNCF): a scale for each weight channel, and one for each activation, from its range on the calibration images."""
    os.environ.setdefault("NNCF_CI", "1")  # without it NNCF reports each use to its makers
    nncf = library("nncf")
    with quiet("nncf", "torch.utils.cpp_extension"):  # after the import, which sets a log level
        # NNCF's default clips activations at the mean over images of their largest: for OSNet x0.25 the lowest cosine is then 0.89 instead of 0.99.
        extremes = library("nncf.quantization.range_estimator").RangeEstimatorParametersSet.MINMAX
        return nncf.quantize(
            model, nncf.Dataset(list(calibration)), subset_size=len(calibration),
            preset=nncf.QuantizationPreset.MIXED,  # activations with values below 0 have a zero point of their own
            ignored_scope=nncf.IgnoredScope(names=gates(model)),
            advanced_parameters=nncf.AdvancedQuantizationParameters(activations_range_estimator_params=extremes),
        )  # fmt: skip


def gates(model: Any) -> list[str]:
    """Names of the operations that weigh the channels of a map by its mean (squeeze and excitation): convolutions on one pixel, and products with a sigmoid.

    They take hardly any time and stay in float32, because rounding them would alter whole channels: over 400 images, the lowest cosine of
    OSNet x0.25 is 0.94 with them rounded and 0.99 without.
    """
    names = []
    for node in model.get_ordered_ops():
        shape = node.get_output_partial_shape(0) if node.get_output_size() else None
        is_map = shape is not None and shape.rank.is_static and len(shape) == 4
        one_pixel = is_map and all(each.is_static and each.get_length() == 1 for each in list(shape)[2:])
        kind = node.get_type_name()
        weighing = kind == "Multiply" and any(each.get_source_output().get_node().get_type_name() in _SIGMOIDS for each in node.inputs())
        if weighing or (one_pixel and kind in ("Convolution", "GroupConvolution")):
            names.append(node.get_friendly_name())
    return names
