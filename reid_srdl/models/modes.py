"""Training and eval mode of a network's parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Inside, a network is in eval mode; afterwards each of its parts is back in its former mode (a frozen BatchNorm stays in eval mode)."""
    before = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, mode in before:
            part.training = mode
