"""Where every random number comes from: (seed, purpose, stage, epoch, step or index).

No stream of random numbers is ever carried from one step to the next, so a resumed run, images in memory or
streamed, and any number of ranks draw the same numbers.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed that depends on the run's seed and on its purpose."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator of its own for one purpose; the device it serves makes no difference to what it draws."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextlib.contextmanager
def states_restored() -> Iterator[None]:
    """Restores torch's global random states afterwards. CUDA's are left out where CUDA is not in use yet: reading them would start it, or fail."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        yield


@contextlib.contextmanager
def forked(seed: int, *purpose: object) -> Iterator[None]:
    """Inside, libraries that draw from torch's global state draw from a derived seed; afterwards it is as before."""
    with states_restored():
        torch.manual_seed(derive(seed, *purpose))
        yield
