"""The console command ``reid-srdl`` and its sub-commands, which ``tools/NAME.py`` runs from a checkout."""

from __future__ import annotations

import ast
import contextlib
import difflib
import errno
import importlib
import importlib.util
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from .. import __version__
from ..errors import UserError, first_line
from ..training.termination import Terminated

COMMANDS: dict[str, str] = {
    "train": "reid_srdl.commands.train",
    "eval": "reid_srdl.commands.eval",
    "embed": "reid_srdl.commands.embed",
    "data": "reid_srdl.commands.data",
    "report": "reid_srdl.commands.report",
    "index": "reid_srdl.commands.index",
    "search": "reid_srdl.commands.search",
    "serve": "reid_srdl.commands.serve",
    "verify": "reid_srdl.commands.verify",
    "calibrate": "reid_srdl.commands.calibrate",
    "export": "reid_srdl.commands.export",
    "card": "reid_srdl.commands.card",
    "adopt": "reid_srdl.commands.adopt",
    "study": "reid_srdl.commands.study",
    "reproduce": "reid_srdl.commands.reproduce",
}

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_WAY = (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)
LESS = {
    "train": "--optimiser.accumulate 2 takes a batch in two parts and the same steps; --data.memory_gb 0 leaves images on the disk; a smaller --data.batch changes the steps.",
    "embed": "A smaller --batch takes less; --device cpu takes the machine's.",
}
"""What to do with less memory, by command."""
OTHERWISE = "See what else uses it; --device cpu takes the machine's."
BAD_INPUT = 2
INTERRUPTED = 130
BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended
TERMINATED = 143  # and for one that SIGTERM ended


def main(name: str | None = None) -> NoReturn:
    """Runs a sub-command on the arguments of the process and exits with its code.

    Args:
        name: the sub-command; if none is given, the first argument names it.
    """
    argv = ([name] if name else []) + sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name of a file need not be text
    prog = f"reid-srdl {argv[0]}" if argv and argv[0] in COMMANDS else "reid-srdl"
    try:
        code = _carry_out(argv)
        # Here, not at the interpreter's exit, where a closed pipe or a full disk could no longer be answered.
        if sys.stdout is not None:  # None where it was closed before the start
            sys.stdout.flush()
    except UserError as error:
        code = _say(prog, str(error), BAD_INPUT)
    except KeyboardInterrupt:
        code = _say(prog, "interrupted", INTERRUPTED)
    except Terminated:
        code = _say(prog, "terminated", TERMINATED)
    except BrokenPipeError:
        _discard_output()
        code = BROKEN_PIPE
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        code = _say(prog, f"there is not enough memory ({first_line(error)}). {LESS.get(argv[0], OTHERWISE)}", BAD_INPUT)
    except OSError as error:
        if error.errno in NO_SPACE:
            _discard_output()
            what = f"cannot write {error.filename}: {error.strerror}" if error.filename else str(error.strerror)
            code = _say(prog, f"{what}. Free some space, or choose another folder with --output.", BAD_INPUT)
        elif error.filename and error.errno in NO_WAY:
            code = _say(prog, f"cannot get at {str(error.filename)[:200]}: {error.strerror}. Name another place, or get the right to look there.", BAD_INPUT)
        else:
            raise
    sys.exit(code)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: NumPy's error, torch's on a GPU by the name of its class (without importing torch), or torch's on the CPU by its message."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def _carry_out(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(overview())
        return 0
    if argv[0] == "--version":
        print(__version__)
        return 0
    return importlib.import_module(_module(argv[0])).run(argv[1:])


def overview() -> str:
    """The sub-commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = ["usage: reid-srdl COMMAND [options]", "", "commands:"]
    lines += [f"  {name:<{width}}  {_summary(module)}" for name, module in COMMANDS.items()]
    return "\n".join([*lines, "", "reid-srdl COMMAND --help lists the options of a command."])


def _summary(module: str) -> str:
    # Read, not imported: the modules pull in torch, which takes seconds.
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return docstring.split("\n", 1)[0]


def _module(name: str) -> str:
    if name in COMMANDS:
        return COMMANDS[name]
    near = difflib.get_close_matches(name, COMMANDS, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(COMMANDS)}."
    raise UserError(f"there is no command {name!r}", hint)


def _say(prog: str, message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody may be listening any more
        print(f"{prog}: {message}", file=sys.stderr, flush=True)
    return code


def _discard_output() -> None:
    # What is still in the buffer would fail once more at exit, with a traceback.
    with contextlib.suppress(OSError):  # no file is behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
