"""Commands that are printed for the user to run next, in the form in which this one was started."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "reid-srdl"


def command(name: str, *words: object) -> str:
    """A line for the shell: sub-command ``name`` with its arguments, each quoted where it has to be.

    The program is named as this one was started: a script beside the running ``tools/NAME.py``, ``python -m reid_srdl``, or else the
    console command. Under torchrun, ``train`` is named with torchrun and the same number of processes.
    """
    program = _program(name)
    return shlex.join([*(_among_as_many(program) if name == "train" else program), *map(str, words)])


def _among_as_many(program: list[str]) -> list[str]:
    """The program, started by ``torchrun`` where this process was."""
    here, world = os.environ.get("LOCAL_WORLD_SIZE", "1"), os.environ.get("WORLD_SIZE", "1")
    if world == "1" or "MASTER_ADDR" not in os.environ:  # the test by which ranks.own, too, tells whether this process is alone
        return program
    started = [_beside_python("torchrun"), "--nproc-per-node", here]
    if here != world:
        started += ["--nnodes", str(int(world) // int(here)), "--node-rank", os.environ.get("GROUP_RANK", "0"), "--master-addr", os.environ["MASTER_ADDR"]]
    # torchrun itself starts Python on a script or module; any other command needs --no-python.
    return [*started, *program[1:]] if program[0] == python() else [*started, "--no-python", *program]


def _program(name: str) -> list[str]:
    started = Path(sys.argv[0])
    beside = started.with_name(f"{name}.py")
    if started.suffix == ".py" and started.parent.name == "tools" and beside.is_file():
        return [python(), str(beside)]
    if started.name == "__main__.py" and started.parent.name == "reid_srdl":
        return [python(), "-m", "reid_srdl", name]
    if started.name == NAME and not _same(shutil.which(NAME), str(started)):
        return [str(started), name]  # it belongs to an environment that is not active
    return [NAME, name]


def python() -> str:
    """``python`` where that name means the interpreter that runs now, else the path of that interpreter."""
    return "python" if _same(shutil.which("python"), sys.executable) else sys.executable


def _beside_python(name: str) -> str:
    """A program of the environment that runs now: its name where the shell finds that one by it, and else its path."""
    own = os.path.join(os.path.dirname(sys.executable), name)
    return own if os.path.isfile(own) and not _same(shutil.which(name), own) else name


def _same(one: str | None, other: str) -> bool:
    # Links are not followed: the python of an environment is a link to an interpreter that lacks the environment's packages.
    return one is not None and os.path.abspath(one) == os.path.abspath(other)
