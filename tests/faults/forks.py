"""A server that starts commands as processes of their own without importing torch again for each: it forks.

``python forks.py CONFTEST`` takes a JSON object a line on standard input and answers each with one on standard output:

    {"start": [ARGUMENT, ...], "cwd": DIR, "output": FILE, "errors": FILE, "accident": ACCIDENT, "environment": {NAME: VALUE}}  ->  {"pid": N}
    {"wait": N}  ->  {"code": exit code, or minus the signal that ended it}

An accident is ``{"folder": DIR, "at": N, "do": DEED}``: just before the N-th change of a file in that folder (counted from 0; an N that never
comes only counts) the process kills itself (``kill``), with the bytes of a file half written (``tear``), stops itself (``stop``), or removes
``remove FILE``. It writes down how many changes there were in FILE.changes beside the output.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_NEEDED = (
    "reid_srdl.commands.train", "reid_srdl.report", "lightning_fabric.loggers", "torch.utils.tensorboard", "torchvision", "matplotlib.figure",
    "matplotlib.backends.backend_svg", "scipy.special",
)  # fmt: skip
"""What the commands import where they use it, and therefore each child anew."""
_WRITES = os.O_WRONLY | os.O_RDWR
_CHANGES = {"os.rename": 1, "os.link": 1, "os.remove": 0, "os.mkdir": 0}
"""Audit events of a change, and which of their arguments is the file that changes."""


class Accident:
    """What happens to this process; ``hook`` is told of all that it does (PEP 578)."""

    def __init__(self, folder: str, at: int, do: str, changes: Path) -> None:
        self.folder, self.at, self.do, self.changes = os.path.realpath(folder) + os.sep, at, do, changes
        self.count = 0
        self._busy = False

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event == "open" and isinstance(arguments[0], str | os.PathLike) and arguments[2] & _WRITES:
            path = arguments[0]
        elif event in _CHANGES:
            path = arguments[_CHANGES[event]]
        else:
            return
        if os.path.abspath(os.fspath(path)).startswith(self.folder):
            self._busy = True
            self._changes()
            self._busy = False

    def _changes(self) -> None:
        if self.count == self.at:
            self._happens()
        self.count += 1
        self.changes.write_text(str(self.count))

    def _happens(self) -> None:
        if self.do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.do == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.do == "tear":
            Path.write_bytes = _torn  # the next
        else:
            os.unlink(self.do.removeprefix("remove "))


def _torn(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)


def _start(asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.chdir(asked["cwd"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for name, number in (("output", 1), ("errors", 2)):
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    os.environ.update(asked["environment"])
    sys.addaudithook(Accident(**asked["accident"], changes=Path(asked["output"] + ".changes")).hook)
    sys.argv = ["reid-srdl", *asked["start"]]
    from reid_srdl.commands import main

    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve(conftest: str) -> None:
    """Until standard input ends."""
    from reid_srdl.models import BACKBONES

    for name in _NEEDED:
        importlib.import_module(name)

    spec = importlib.util.spec_from_file_location("small_networks", conftest)
    sys.modules["small_networks"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["small_networks"])
    BACKBONES["small"] = "small_networks:small"
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answer = {"pid": _start(asked)}
        else:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
