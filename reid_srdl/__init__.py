"""Person re-identification with networks that teach themselves: Self-Referenced Deep Learning (Lan, Zhu, Gong 2018)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .embeddings import Embeddings
    from .errors import UserError
    from .evaluation import rank
    from .runs import load
    from .training.losses import imitation_loss
    from .training.reference import soft_targets
    from .training.schedules import step_rates

__version__ = "0.1.0"
__all__ = ["Embeddings", "UserError", "__version__", "imitation_loss", "load", "rank", "soft_targets", "step_rates"]

# Fetched when they are first asked for: importing torch takes seconds, and `reid-srdl --help` needs none of it.
_HOMES = {
    "Embeddings": ".embeddings",
    "UserError": ".errors",
    "load": ".runs",
    "rank": ".evaluation",
    "imitation_loss": ".training.losses",
    "soft_targets": ".training.reference",
    "step_rates": ".training.schedules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
