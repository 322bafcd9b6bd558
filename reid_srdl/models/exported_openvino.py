"""OpenVINO's files (``.xml`` with ``.bin`` beside it), run on the CPU."""

from __future__ import annotations

import functools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from .exported_engine import NAME, Engine, Port, library, unreadable

_MAKING = threading.Lock()


def core() -> Any:
    """The one ``openvino.Core`` of this process, with its CPU plugin.

    The plugin gives the thread that loads it a stack for signal handlers, and frees that stack when the core ends. If two cores do not end in
    the reverse order of their beginning, the thread is left with a freed stack, and the next signal (Ctrl-C, say) is a segmentation fault.

    Raises:
        UserError: openvino is not installed.
    """
    openvino = library("openvino")
    with _MAKING:
        return _core(openvino)


@functools.cache
def _core(openvino: Any) -> Any:
    made = openvino.Core()
    made.get_versions("CPU")  # loads the plugin, before another library's core can
    return made


def open_file(path: Path) -> Engine:
    """Opens a file, to be run with as many threads as torch has, in the precision that the file names.

    Raises:
        UserError: a missing library, no ``.bin`` beside the file, or a file that OpenVINO cannot read.
    """
    shared = core()
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise UserError(f"{path} has no {weights.name} beside it, which holds its weights", "Copy both files of the network.")
    try:
        model = shared.read_model(path, weights)
        facts = model.get_rt_info([NAME]).astype(str) if model.has_rt_info([NAME]) else None
        compiled = shared.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": _hint(facts), "INFERENCE_NUM_THREADS": torch.get_num_threads()})
    except RuntimeError as error:
        raise unreadable(path, "OpenVINO", error) from None
    lock = threading.Lock()

    def run(images: np.ndarray) -> list[np.ndarray]:
        with lock:  # a compiled model has a single request, and cannot run twice at once
            made = compiled(images)
        return [made[port] for port in compiled.outputs]

    return Engine(tuple(map(_port, model.inputs)), tuple(map(_port, model.outputs)), facts, run)


def _hint(facts: str | None) -> str:
    """The precision to compute in. Without this hint OpenVINO takes bf16 wherever the processor has it, even for float32 files."""
    try:
        return "bf16" if facts and json.loads(facts).get("precision") == "bf16" else "f32"
    except ValueError:
        return "f32"  # facts that cannot be read raise an error in whoever reads them next


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    lengths = None if shape.rank.is_dynamic else tuple(None if each.is_dynamic else each.get_length() for each in shape)
    name = port.any_name if port.names else "unnamed"
    return Port(name, port.get_element_type().to_dtype().name, lengths)
