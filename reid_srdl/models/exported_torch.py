"""``torch.export``'s files (``.pt2``), run by PyTorch on the CPU."""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import UserError
from .exported_engine import NAME, Engine, Port, unreadable

EXTRA = f"{NAME}.json"
"""The file in the archive that holds the facts."""

# The members that torch.export writes for a network of plain tensors. It can also write pickled objects, code and machine code, and its reader runs all of these.
_VALUES = r"weight_\d+|tensor_\d+"
_PLAIN = re.compile(rf"data/(weights|constants)/({_VALUES})|archive_format|archive_version|byteorder|\.data/(version|serialization_id)")
_CONFIGS = re.compile(r"data/(weights|constants)/model_(weights|constants)_config\.json")
_PROGRAM, _SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
_BEFORE_ARCHIVES = "serialized_exported_program.json"
"""What PyTorch before 2.8 wrote instead."""
_SYMBOLIC = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_WORD = re.compile(r"[\w.]*")
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
"""Types of containers for arguments and results; None stands for a single value."""
_FUNCTIONS = {"Symbol", "Integer", "Max", "Min", "Mod", "FloorDiv", "CleanDiv", "CeilToInt"}


def open_file(path: Path) -> Engine:
    """Opens a file. Raises ``UserError`` where it is not one of ``torch.export``, holds more than a network, or has inputs or outputs that are not tensors."""
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
    """Refuses a file that could run code, before torch.export's reader sees it, which unpickles what the file tells it to and runs its names and expressions as Python."""
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if _BEFORE_ARCHIVES in members:
            raise UserError(f"{path} was written by a PyTorch before 2.8, in a form that is not read here", "Export the network again with a newer one, from its run folder.")
        # Of two members with one name, Python reads one and PyTorch the other.
        twice = len({member.lower() for member in members}) < len(members) or len({member.partition("/")[0] for member in members}) > 1
        for member in members:
            name = member.partition("/")[2]
            if twice or not (name.startswith("extra/") or _PLAIN.fullmatch(name) or _is_harmless(name, archive.read(member))):
                what = "members of one name, or of several archives" if twice else name
                raise UserError(f"{path} holds {what}, which could run code of its own", "Export the network again, from its run folder.")


def _is_harmless(name: str, data: bytes) -> bool:
    if name == _PROGRAM:
        return _is_of_words(json.loads(data))
    if _CONFIGS.fullmatch(name):
        entries = json.loads(data)["config"].values()
        return all(entry["use_pickle"] is False and re.fullmatch(_VALUES, entry["path_name"]) for entry in entries)
    return name == _SAMPLES and _loads_as_tensors(data)


def _is_of_words(value: Any, key: str = "") -> bool:
    """Whether all strings of the program are names, lengths or trees of names, since its reader writes them into Python code as they are."""
    if key == "guards_code":
        return not value
    if key == "metadata":  # says where each step comes from, and never becomes code
        return True
    if isinstance(value, dict):
        return all(_WORD.fullmatch(name) and _is_of_words(inner, name) for name, inner in value.items())
    if isinstance(value, list):
        return all(_is_of_words(inner, key) for inner in value)
    if not isinstance(value, str):
        return True
    if key == "expr_str":
        return _is_length(value)
    if key in ("in_spec", "out_spec"):  # JSON within JSON
        _, tree = json.loads(value)
        return _is_of_containers(tree)
    return bool(_WORD.fullmatch(value)) or (key == "torch_version" and "\n" not in value)


def _is_of_containers(tree: Any) -> bool:
    """Whether a tree of arguments or results is made only of ``_CONTAINERS``, names and numbers: for other types (enumerations, defaultdicts) the reader imports what they name."""
    if not isinstance(tree, dict) or tree.keys() != {"type", "context", "children_spec"} or tree["type"] not in _CONTAINERS:
        return False
    names = json.loads(tree["context"] or "null") or []  # the keys of a dict, in order; JSON once more
    return (
        isinstance(names, list)
        and all(isinstance(name, int) or (isinstance(name, str) and _WORD.fullmatch(name)) for name in names)
        and all(map(_is_of_containers, tree["children_spec"]))
    )


def _is_length(text: Any) -> bool:
    """Whether an expression is only arithmetic with lengths of tensors; this matters because sympy reads it with Python's ``eval``."""
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
    except Exception:  # whatever the error, such data is not accepted
        return False
    return True


def _ports(program: torch.export.ExportedProgram, names: Any) -> tuple[Port, ...]:
    values = {node.name: node.meta["val"] for node in program.graph.nodes if "val" in node.meta}
    return tuple(
        Port(name, str(values[name].dtype).removeprefix("torch."), tuple(length if isinstance(length, int) else None for length in values[name].shape))
        for name in names
    )
