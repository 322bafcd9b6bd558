"""Pages whose commands stand with their output: the commands are found, run, and their output written in again.

A block ``console`` holds commands, ``$`` before each, and what they print. Rewrite a page by running it, in a folder that has what it speaks of::

    python tests/docs/transcripts.py docs/guide.md FOLDER
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"```console\n(.*?)```", flags=re.DOTALL)
WIDTH = "110"
_READY, _PATIENCE = "Open http", 180.0


@dataclass(frozen=True)
class Done:
    """A command, its exit code (none while it runs on) and what it printed: on errors what it said on the error output, too."""

    command: str
    code: int | None
    output: str


def commands(block: str) -> list[str]:
    """Of a block; a command goes on in the next line after a backslash."""
    joined = re.sub(r"\\\n\s*", lambda match: match.group(0), block)
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)$", joined, flags=re.MULTILINE)
    return [text.rstrip() for text in found]


def run(block: str, folder: Path, servers: list[subprocess.Popen]) -> Iterator[Done]:
    """Carries the commands of a block out; one that ends in ``&`` runs on as a server, which the caller stops."""
    for command in commands(block):
        if command.endswith("&"):
            yield _started(command, folder, servers)
            continue
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=_environment(), capture_output=True, text=True, timeout=900)
        yield Done(command, done.returncode, done.stdout + (done.stderr if done.returncode else ""))


def _started(command: str, folder: Path, servers: list[subprocess.Popen]) -> Done:
    server = subprocess.Popen(
        ["bash", "-c", "exec " + command.removesuffix("&")], cwd=folder, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    servers.append(server)
    lines, began = [], time.monotonic()
    for line in server.stdout or ():
        lines.append(line)
        if _READY in line:
            break
        if time.monotonic() - began > _PATIENCE:
            raise TimeoutError(f"{command} is not ready: {''.join(lines)}")
    return Done(command, server.poll(), "".join(lines))


def _environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def stop(servers: list[subprocess.Popen]) -> list[int]:
    """Ends them as Ctrl-C does; their exit codes."""
    for server in servers:
        server.send_signal(signal.SIGINT)
    for server in servers:
        server.communicate(timeout=60)
    return [server.returncode for server in servers]


def rewritten(page: str, folder: Path) -> str:
    """The page with what its commands print now."""
    servers: list[subprocess.Popen] = []

    def anew(match: re.Match[str]) -> str:
        parts = [f"$ {done.command}\n{done.output.rstrip()}".rstrip() for done in run(match.group(1), folder, servers)]
        return "```console\n" + "\n".join(_line.rstrip() for part in parts for _line in part.replace(f"{folder}/", "").splitlines()) + "\n```"

    try:
        return BLOCK.sub(anew, page)
    finally:
        stop(servers)


if __name__ == "__main__":
    where, folder = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    where.write_text(rewritten(where.read_text(encoding="utf-8"), folder), encoding="utf-8")
