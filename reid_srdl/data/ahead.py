"""Fetches the next items while the current one is being worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead_of(device: torch.device) -> int:
    """How many batches to fetch ahead: one for a GPU, which would else be idle while the CPU decodes; none on the CPU, where both would need the same cores."""
    return 1 if device.type == "cuda" else 0


def fetched(fetch: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[tuple[Item, Result]]:
    """Yields each item with what ``fetch`` returns for it, in order. A thread fetches up to ``ahead`` items in advance; with 0 nothing is fetched in advance."""
    if ahead == 0:
        yield from ((item, fetch(item)) for item in items)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="fetch") as pool:
        coming: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            coming.append((item, pool.submit(fetch, item)))
            if len(coming) > ahead:
                first, found = coming.popleft()
                yield first, found.result()
        for first, found in coming:
            yield first, found.result()
