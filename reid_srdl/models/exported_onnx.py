"""ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .exported_engine import NAME, Engine, Port, library, unreadable

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(uint8)": "uint8"}


def open_file(path: Path) -> Engine:
    """With as many threads as torch has. Raises ``UserError`` for a missing library or a file that is no ONNX."""
    onnxruntime = library("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; they are raised as well
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen exceptions without a common parent of their own
        raise unreadable(path, "ONNX", error) from None
    inputs = tuple(map(_port, session.get_inputs()))
    return Engine(
        inputs,
        tuple(map(_port, session.get_outputs())),
        session.get_modelmeta().custom_metadata_map.get(NAME),
        lambda images: session.run(None, {inputs[0].name: images}),
    )


def external_data(path: Path) -> tuple[Path, ...]:
    """The files beside an ONNX file that its weights are in, in the order of their names; mostly none."""
    try:
        import onnx
    except ImportError:  # then the name that torch gives to the only one
        beside = path.with_name(f"{path.name}.data")
        return (beside,) if beside.is_file() else ()
    tensors = onnx.load(path, load_external_data=False).graph.initializer
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return tuple(path.parent / place for place in sorted(places))


def _port(port: Any) -> Port:
    # Free lengths are words or None.
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in port.shape)
    return Port(port.name, _DTYPES.get(port.type, port.type), shape or None)
