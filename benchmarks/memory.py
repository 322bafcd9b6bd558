"""Memory that a task takes beyond what its process had before, with that of all processes it starts (Linux)."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

MB = 2**20
_EVERY = 0.002


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)`` in a fresh process, which has no freed memory to use again and starts its threads anew."""
    # An executor's processes, unlike a pool's, may have children of their own, such as the workers of a data loader.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start_by, (multiprocessing.get_start_method(),)) as executor:
        return executor.submit(function, *arguments).result()


def _start_by(method: str) -> None:
    """Makes this process start its children by the method of its parent, not by the one that started it (spawn)."""
    multiprocessing.set_start_method(method, force=True)


def peak_memory(task: Callable[[], object]) -> int:
    """The most bytes of their own that the process and its children have while the task runs, beyond what they had before.

    Memory is read every 2 ms. What parent and child share is counted once; mapped files are not counted.
    """
    before, peak, done = _own_memory(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_EVERY):
            peak = max(peak, _own_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        task()
    finally:
        done.set()
        watcher.join()
    return max(0, peak - before)


def peak_of_gpu(task: Callable[[], object]) -> int:
    """The most bytes of GPU memory that torch holds for tensors while the task runs."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    task()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


def _own_memory() -> int:
    children = _descendants("self")
    if not children:
        return _bytes("self", "status", "RssAnon:")
    # A worker begins as a copy that shares all memory with its parent; PSS divides shared memory among those that share it.
    return sum(_bytes(process, "smaps_rollup", "Pss_Anon:") for process in ("self", *children))


def _descendants(process: str) -> list[str]:
    try:
        found = [child for tasks in Path(f"/proc/{process}/task").iterdir() for child in (tasks / "children").read_text().split()]
    except OSError:  # it has ended
        return []
    return found + [other for child in found for other in _descendants(child)]


def _bytes(process: str, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{process}/{file}").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
