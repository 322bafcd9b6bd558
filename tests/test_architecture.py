"""The house law: a module imports only from rooms above its own (docs/architecture.md), and tests mirror the package."""

from __future__ import annotations

import ast
import configparser
import re
import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "reid_srdl"

# Rooms from the top of the house to the bottom, with the rooms that each may import. `errors`, `shell` and `seeds` are the
# ground that all stand on; a room may import itself; ABOVE means every room listed before it.
ABOVE = "above"
LAW: dict[str, str] = {
    "errors": "",
    "ranges": "",
    "seeds": "",
    "shell": "",
    "locks": "",
    "files": "locks",
    "registered": "files",
    "pictures": "",
    "ranks": "",
    "devices": "ranks",
    "heap": "",
    "markdown": "",
    "progress": "",
    "config": "files",
    "embeddings": "files",
    "data": ABOVE,
    "models": "config files registered",
    "inference": "heap data models embeddings devices",
    "runs": "config files models inference data embeddings ranks devices",
    "diagnostics": "",
    "training": ABOVE,
    "evaluation": f"{ABOVE} -training",
    "report": f"{ABOVE} -training",
    "retrieval": f"{ABOVE} -training",
    "export": "registered data models runs evaluation",
    "experiments": ABOVE,
    "commands": ABOVE,
    "__main__": "commands",
}
GROUND = {"errors", "ranges", "seeds", "shell"}

# Optional, or slow to import: only inside the function that needs them.
HEAVY = {
    "faiss", "grpc", "matplotlib", "milvus_lite", "nncf", "onnx", "onnxruntime", "onnxscript", "openvino", "pyarrow", "pymilvus",
    "pytorch_metric_learning", "sklearn", "timm", "torchreid", "torchvision", "umap", "wandb",
}  # fmt: skip
# What a served index is written in: of an extra, and imported at once by the modules that nobody imports without it.
SERVER = {"fastapi", "pydantic", "starlette", "uvicorn"}


def allowed(room: str) -> set[str]:
    rooms = list(LAW)
    granted = {room} | GROUND
    for word in LAW[room].split():
        if word == ABOVE:
            granted |= set(rooms[: rooms.index(room)])
        elif word.startswith("-"):
            granted.discard(word[1:])
        else:
            granted.add(word)
    return granted


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Dotted names of what these pieces of a module in ``package`` import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join(filter(None, [*base, node.module]))
            # `from .. import files` names a room by the imported name.
            yield from (f"{module}.{alias.name}" for alias in node.names)


def registered(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Dotted names of what registries name."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"reid_srdl(\.\w+)+(:\w+)?", node.value):
            yield node.value.replace(":", ".")


def imported_rooms(source: str, package: str) -> set[str]:
    facade = {"Embeddings": "embeddings", "load": "runs"}
    rooms, nodes = set(), list(ast.walk(ast.parse(source)))
    for name in (*imported(nodes, package), *registered(nodes)):
        parts = name.split(".")
        if parts[0] == "reid_srdl" and len(parts) > 1 and not parts[1].startswith("__") and parts[1] != "configs":
            rooms.add(facade.get(parts[1], parts[1]))
    return rooms


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_from_rooms_above_its_own(path: Path):
    room = room_of(path)
    assert room in LAW, f"{room} has no place in the law: give it one here and in docs/architecture.md"
    forbidden = imported_rooms(path.read_text(encoding="utf-8"), package_of(path)) - allowed(room)
    assert not forbidden, f"{path.relative_to(ROOT)} imports {sorted(forbidden)}, which {room} may not"


def test_imports_are_seen_however_they_are_written():
    source = """
from . import records
from .. import files
from ..training.engine import StageTrainer
from reid_srdl import load
REGISTRY = {"market1501": "reid_srdl.evaluation.ranking:rank"}
def late():
    import reid_srdl.report.page
    import torch
"""
    assert imported_rooms(source, "reid_srdl.data") == {"data", "files", "training", "runs", "evaluation", "report"}


def test_the_law_is_as_the_plan_has_it():
    """The last column of the table of rooms, which leaves out the ground that all stand on."""
    lines = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## The rooms")[2].partition("\n\nThe last column")[0].splitlines()
    written = {}
    for line in (line for line in lines if line.startswith("| `")):
        name, *_, may = (cell.strip() for cell in line.strip("|").split("|"))
        written[name.strip("`/").removesuffix(".py")] = may
    words = {"nothing": "", "all above": ABOVE, "all above but training": f"{ABOVE} -training", "all": ABOVE}
    granted = [(name, set(words.get(may, may.replace(",", "")).split()) - GROUND) for name, may in written.items()]
    assert granted == [(name, set(law.split())) for name, law in LAW.items() if name != "__main__"]


def test_what_the_law_comes_to():
    assert allowed("errors") == {"errors", "ranges", "seeds", "shell"}
    assert allowed("models") == {"models", "config", "files", "registered", "errors", "ranges", "seeds", "shell"}
    assert "training" not in allowed("evaluation") | allowed("report") | allowed("retrieval")
    assert "commands" not in set().union(*(allowed(room) for room in LAW if room not in ("commands", "__main__")))
    assert allowed("training").isdisjoint({"evaluation", "report", "retrieval", "export", "experiments"})


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_heavy_libraries_are_imported_where_they_are_used(path: Path):
    assert not _libraries(path) & HEAVY


def test_what_cannot_be_imported_without_an_extra_is_known():
    """The installation without extras, where this is tried in earnest, takes minutes to make."""
    known = runpy.run_path(str(ROOT / "tests" / "plain" / "test_plain.py"))["NEED_AN_EXTRA"]
    assert {_name(path) for path in sources() if _libraries(path) & SERVER} == known
    # They are imported where a server starts, by nobody else and not before.
    assert not [path for path in sources() if _name(path) not in known for name in _at_once(path) if name in known or name.rpartition(".")[0] in known]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _libraries(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in _at_once(path)}


def _at_once(path: Path) -> set[str]:
    """Dotted names of what importing this module imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    deferred = {id(inner) for node in ast.walk(tree) if _deferred(node) for inner in ast.walk(node)}
    return set(imported((node for node in ast.walk(tree) if id(node) not in deferred), package_of(path)))


def _deferred(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_what_registries_name_is_there():
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            if not re.fullmatch(r"reid_srdl(\.\w+)+:\w+", node.value):
                continue
            module, name = node.value.split(":")
            file = ROOT / (module.replace(".", "/") + ".py")
            file = file if file.is_file() else file.with_suffix("") / "__init__.py"
            assert file.is_file(), f"{path.relative_to(ROOT)} names {node.value}"
            assert name in _defined(file), f"{path.relative_to(ROOT)} names {node.value}"


def _defined(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    passed_on = [alias for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return names | {alias.asname or alias.name for alias in passed_on}


def test_every_room_is_installed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(setup["options"]["packages"].split())
    folders = {package_of(path) for path in PACKAGE.rglob("*.py")}
    assert listed == folders | {"reid_srdl.configs"}
    without = [folder for folder in folders if not (ROOT / folder.replace(".", "/") / "__init__.py").is_file()]
    assert not without, "these folders lack an __init__.py"


def test_scripts_are_two_lines():
    for path in sorted((ROOT / "tools").glob("*.py")):
        assert path.read_text().splitlines() == ["from reid_srdl.commands import main", f'main("{path.stem}")']


# Tests of more than one module: whole commands, what may go wrong with them, an installation without extras, the pages of the documentation, the law itself.
ACROSS = {"end_to_end", "faults", "plain", "docs", "test_architecture.py"}


def test_tests_mirror_the_package():
    tests = [path.relative_to(ROOT / "tests") for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    assert not [test.as_posix() for test in tests if not _mirrors(test)], "these tests mirror no module"


def _mirrors(test: Path) -> bool:
    if test.parts[0] in ACROSS:
        return True
    name = test.stem.removeprefix("test_")
    for folder in (PACKAGE / test.parent, ROOT / test.parent):
        if (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file():
            return True
    # What a room's __init__ holds: tests/commands/test_main.py for `main`, tests/test_init.py for all of it.
    init = PACKAGE / test.parent / "__init__.py"
    return init.is_file() and (name == "init" or name in _defined(init))
