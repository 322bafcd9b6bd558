"""FastAPI and uvicorn are an extra: nothing needs them before a server is wanted."""

from __future__ import annotations

import ast
from pathlib import Path

import reid_srdl

PACKAGE = Path(reid_srdl.__file__).parent
WEB = {"fastapi", "pydantic", "starlette", "uvicorn"}
ROOMS = {"app", "answers", "named", "running"}
"""Modules of ``retrieval/serve`` that are the web itself, and are imported where a server starts."""


def imported_at_once(file: Path) -> set[str]:
    """First and last names of what is imported outside of functions and of what only type checkers read."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    later = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If) for inner in ast.walk(node)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in later:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module.partition(".")[0]} if not node.level else {module.rpartition(".")[2], *(alias.name for alias in node.names)}
    return names


def test_only_the_web_itself_imports_it():
    wanting = {file.relative_to(PACKAGE).with_suffix("").as_posix() for file in PACKAGE.rglob("*.py") if imported_at_once(file) & WEB}
    assert wanting == {f"retrieval/serve/{name}" for name in ROOMS}


def test_the_web_itself_is_imported_late():
    files = [*(PACKAGE / "retrieval").rglob("*.py"), PACKAGE / "commands" / "serve.py"]
    assert not [file for file in files if file.stem not in ROOMS and imported_at_once(file) & ROOMS]
