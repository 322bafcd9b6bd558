"""``torch.export``'s files (``.pt2``), run by PyTorch on the CPU."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from .exported_engine import NAME, Engine, Port, unreadable

EXTRA = f"{NAME}.json"
"""The file in the archive that holds the facts."""

# What torch.export writes for a network of plain tensors. It can also write pickled objects, code and machine code, all of which its reader would run.
_PLAIN = re.compile(r"(weight|tensor)_\d+|archive_format|archive_version|version|byteorder|serialization_id")
_SYMBOLIC = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_FUNCTIONS = {"Symbol", "Integer", "Max", "Min", "Mod", "FloorDiv", "CleanDiv", "CeilToInt"}


def open_file(path: Path) -> Engine:
    """Raises ``UserError`` for a file that is none of ``torch.export``, that holds more than a network, or whose input is no single tensor."""
    try:
        _refuse_code(path)
        extra: dict[str, Any] = {EXTRA: ""}
        program = torch.export.load(path, extra_files=extra)
        module = program.module()
        inputs, outputs = _ports(program, program.graph_signature.user_inputs), _ports(program, program.graph_signature.user_outputs)
    except UserError:
        raise
    except Exception as error:  # zip, JSON, the checks of torch.export: whatever a damaged file runs into
        raise unreadable(path, "a file of torch.export", error) from None

    def run(images: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            made = module(torch.from_numpy(images))
        return [each.detach().float().numpy() for each in (made if isinstance(made, tuple | list) else [made])]

    return Engine(inputs, outputs, extra[EXTRA] or None, run)


def _refuse_code(path: Path) -> None:
    """Before torch.export's reader sees the file, which unpickles what the file tells it to and evaluates its expressions."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            name, data = member.partition("/")[2], lambda member=member: archive.read(member)
            if name.startswith("extra/") or _PLAIN.fullmatch(name.rpartition("/")[2]):
                continue
            if name.endswith(".json"):
                harmless = all(map(_harmless, _pairs(json.loads(data()))))
            elif name.endswith(".pt"):
                harmless = _loads_as_tensors(data())
            else:
                harmless = False
            if not harmless:
                raise UserError(f"{path} holds {name}, which could run code of its own", "Export the network again, from its run folder.")


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _pairs(inner)


def _harmless(pair: tuple[str, Any]) -> bool:
    key, value = pair
    if key == "use_pickle":
        return value is False
    if key == "guards_code":
        return not value
    return key != "expr_str" or _is_length(value)


def _is_length(text: Any) -> bool:
    """Whether an expression is no more than arithmetic with the lengths of tensors; sympy reads it with Python's ``eval``."""
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except (SyntaxError, TypeError, ValueError):
        return False
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    words = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return (
        all(isinstance(node, _SYMBOLIC) for node in nodes)
        and all(isinstance(function, ast.Name) and function.id in _FUNCTIONS for function in called)
        and all(re.fullmatch(r"\w+", word) for word in words)
    )


def _loads_as_tensors(data: bytes) -> bool:
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception:  # of whatever kind: then it is not for us
        return False
    return True


def _ports(program: torch.export.ExportedProgram, names: Any) -> tuple[Port, ...]:
    values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    return tuple(
        Port(name, str(values[name].dtype).removeprefix("torch."), tuple(length if isinstance(length, int) else None for length in values[name].shape))
        for name in names
    )
