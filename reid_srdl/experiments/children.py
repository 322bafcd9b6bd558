"""Processes that end with the one that began them: a scheduler's SIGTERM reaches that one alone, and its runs would train on unseen."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path


class Children:
    """Processes under way, begun by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._living: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, words: list[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
        """Runs a program with its output at the end of ``log`` and returns its exit code, -15 for one that ``end`` let not begin; ``environment`` has further variables."""
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
        """Sends SIGTERM to those that live, which training answers by saving its state; none begins after it."""
        with self._lock:
            self._ended = True
            for child in list(self._living):
                child.terminate()
