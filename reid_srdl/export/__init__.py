"""Trained networks as files for other programs: one writer per format, and the check that all files have to pass."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import UserError
from ..registered import function_of
from ..runs import Trained

__all__ = ["FORMATS", "Format", "Wanted", "check_wanted", "write"]


@dataclass(frozen=True)
class Format:
    """A format of exported files.

    Args:
        suffixes: of its files; the first is that of the file which is loaded.
        precisions: those that it can be written in.
        writer: ``"module:function"`` that takes (program, facts, path, calibration images, which may be empty).
        libraries: the optional libraries that it needs; the extra ``export`` installs them.
        check: ``"module:function"`` that takes a precision and raises ``UserError`` where this machine could not check such a file. Empty where every machine can.
    """

    suffixes: tuple[str, ...]
    precisions: tuple[str, ...]
    writer: str
    libraries: tuple[str, ...] = ()
    check: str = ""


FORMATS: dict[str, Format] = {
    "onnx": Format((".onnx",), ("fp32",), "reid_srdl.export.onnx_file:write", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": Format((".xml", ".bin"), ("fp32", "bf16", "int8"), "reid_srdl.export.openvino_file:write", ("openvino",), "reid_srdl.export.openvino_file:check_precision"),
    "torch": Format((".pt2",), ("fp32",), "reid_srdl.export.torch_file:write"),
}


@dataclass(frozen=True)
class Wanted:
    """What is to be written.

    Args:
        format: a name in ``FORMATS``.
        precision: ``fp32``, ``bf16`` or ``int8``.
        logits: whether the file has the training classes as a second output.
        metric: the one by which its embeddings are meant to be compared.
    """

    format: str
    precision: str = "fp32"
    logits: bool = False
    metric: str = "euclidean"


def check_wanted(wanted: Wanted, path: Path) -> None:
    """Raises ``UserError`` for a precision that the format does not have, a file name without its suffix, or a library that is missing."""
    form = FORMATS[wanted.format]
    if wanted.precision not in form.precisions:
        others = [name for name, other in FORMATS.items() if wanted.precision in other.precisions]
        hint = f"Choose --format {' or '.join(others)}, or --precision {form.precisions[0]}."
        raise UserError(f"{wanted.format} files are not written in {wanted.precision}", hint)
    for library in (*form.libraries, *(["nncf"] if wanted.precision == "int8" else [])):
        if importlib.util.find_spec(library) is None:
            raise UserError(f"{library} is not installed", "Install it: pip install 'reid-srdl[export]'")
    if wanted.format == "torch" and tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < (2, 8):
        raise UserError(f"PyTorch {torch.__version__} writes .pt2 files in a form that is not read here", "Take 2.8 or newer, or --format onnx.")
    if form.check:
        function_of(form.check)(wanted.precision)
    if path.suffix != form.suffixes[0]:  # upper case counts as different: the file is found again by its suffix
        raise UserError(f"{path} is no name of {wanted.format} files", f"They end in {form.suffixes[0]}.")


def write(trained: Trained, wanted: Wanted, path: Path, calibration: Sequence[np.ndarray] = ()) -> None:
    """Writes the network to ``path`` (and any other files of the format beside it), without checking the result.

    Args:
        trained: on the CPU, in fp32.
        wanted: format, precision and outputs.
        path: the first file.
        calibration: for ``int8``, images uint8 ``(1, 3, H, W)`` of the network's input size.

    Raises:
        UserError: a library that is not installed, a network that cannot be exported, int8 without images.
    """
    from .graph import facts_of, program_of

    check_wanted(wanted, path)
    if wanted.precision == "int8" and not calibration:
        raise UserError("int8 needs training images to find the range of its numbers by", "Name them with --dataset and --data_root.")
    writer = function_of(FORMATS[wanted.format].writer)
    writer(program_of(trained, logits=wanted.logits), facts_of(trained, wanted), path, calibration)
