"""What comes next is fetched while what is there is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead_of(device: torch.device) -> int:
    """How many batches to fetch ahead: one for a GPU, which the CPU else leaves idle while it decodes; none where both would want the same cores."""
    return 1 if device.type == "cuda" else 0


def fetched(fetch: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[tuple[Item, Result]]:
    """Each item with what is fetched for it, in order, in a thread that is so many items ahead; with 0, when its turn comes."""
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
