"""Child processes that end with their parent: a scheduler's SIGTERM reaches the parent alone, and its runs would go on training unseen."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path


class Children:
    """The child processes that are running; several threads may start them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._living: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, words: list[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
        """Runs a program, appends its output to ``log`` and returns its exit code, or -15 where ``end`` kept it from starting; ``environment`` adds variables."""
        with open(log, "a") as out:
            with self._lock:
                if self._ended:
                    return -15
                child = subprocess.Popen(words, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
                self._living.add(child)
            try:
                return child.wait()
            finally:
                self._living.discard(child)

    def end(self) -> None:
        """Sends SIGTERM to all that are running, on which training saves its state; none starts afterwards."""
        with self._lock:
            self._ended = True
            for child in list(self._living):
                child.terminate()
