"""Keeps freed memory in this process, for work that soon asks for as much again.

A step of training on a CPU frees a gigabyte of activations that the next one asks for again. By default, glibc fetches each large block
from the system (``mmap``) and returns it as soon as it is freed, so at every step the system has to map and clear its pages anew. Where
memory is kept, the second step reuses the pages of the first. Small networks gain most: their layers compute little for the memory that they fill.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# <malloc.h>
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_DYNAMIC_LIMIT = 32 << 20
"""Bytes: the largest value of the size from which on glibc fetches a block from the system; that size rises with the blocks that a process frees."""

_lock, _inside = threading.Lock(), 0


@contextmanager
def reused() -> Iterator[None]:
    """Freed memory stays with this process while this lasts, and goes back to the system afterwards.

    Nothing happens where the C library is not glibc, or where the environment already tunes its ``malloc`` (``MALLOC_…``, ``GLIBC_TUNABLES``).
    The bits of a result do not depend on it. It may be nested, and entered by several threads.
    """
    global _inside
    tune = _mallopt()
    if tune is None:
        yield
        return
    with _lock:
        _inside += 1
        if _inside == 1:
            tune(_MMAP_MAX, 0)
            tune(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                tune(_MMAP_MAX, 65536)
                tune(_MMAP_THRESHOLD, _DYNAMIC_LIMIT)
                tune(_TRIM_THRESHOLD, 2 * _DYNAMIC_LIMIT)
                ctypes.CDLL(None).malloc_trim(0)


@functools.cache
def _mallopt() -> Callable[[int, int], int] | None:
    said = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or any(name.startswith("MALLOC_") for name in os.environ)
    library = ctypes.CDLL(None)
    known = all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim"))
    return library.mallopt if known and not said else None
