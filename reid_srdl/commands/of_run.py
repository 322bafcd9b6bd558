"""Commands whose first word is a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from .. import config as configuration
from ..errors import UserError
from ..shell import command

Options = TypeVar("Options")


def parse(kind: type[Options], argv: list[str], prog: str) -> tuple[Path, Options]:
    """``RUN`` and the options after it; ``--help`` lists the options and ends the process.

    Raises:
        UserError: no run folder comes first; as ``config.parse``.
    """
    if argv and argv[0] in ("-h", "--help"):
        configuration.parse(kind, ["--help"], prog=f"{prog} RUN")
    if not argv or argv[0].startswith("-"):
        raise UserError(f"{prog} needs the run folder first", f"For instance: {command(prog, 'runs/demo')}")
    return Path(argv[0]), configuration.parse(kind, argv[1:], prog=f"{prog} {argv[0]}")
