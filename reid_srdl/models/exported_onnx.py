"""ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ..errors import UserError
from .exported_engine import NAME, Engine, Port, library, unreadable

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64", "tensor(uint8)": "uint8"}


def open_file(path: Path) -> Engine:
    """Opens a file, to be run with as many threads as torch has. Raises ``UserError`` for a missing library or a file that is not ONNX."""
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
    """The files beside an ONNX file that hold its weights, in the order of their names; most files have none.

    Raises:
        UserError: one of them lies in another folder, or is missing.
    """
    try:
        import onnx
    except ImportError:  # then by the name that torch gives to the only such file
        beside = path.with_name(f"{path.name}.data")
        return (beside,) if beside.is_file() else ()
    tensors = _parts(onnx.load(path, load_external_data=False), onnx.TensorProto)
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return tuple(_beside(path, place) for place in sorted(places))


def _parts(message: Any, kind: type) -> Iterator[Any]:
    """All messages of a kind within a protobuf message, at any depth: weights lie in constants, branches, loops and functions, too."""
    if isinstance(message, kind):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _parts(part, kind)


def _beside(path: Path, place: str) -> Path:
    # Judged by its name alone, links not followed: some stores fill their folders with links to one place where all files lie.
    if Path(place).is_absolute() or ".." in Path(place).parts:
        raise UserError(f"{path} wants its weights from {place}, outside of its folder", "Save the network again with its weights in the file, or beside it.")
    if not (path.parent / place).is_file():
        raise UserError(f"{path} has no {place} beside it, where some of its weights are", "Copy both files.")
    return path.parent / place


def _port(port: Any) -> Port:
    # Free lengths are words or None.
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in port.shape)
    return Port(port.name, _DTYPES.get(port.type, port.type), shape or None)
