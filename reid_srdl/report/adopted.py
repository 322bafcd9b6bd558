"""What is known of a network that was trained by another toolkit, from ``run.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def origin(facts: Mapping[str, Any], labels: str) -> str:
    """Where the network comes from, in plain sentences; ``labels`` is how many people it tells apart, in words."""
    return f"Adopted from a checkpoint of {facts['adopted']['toolkit']}, trained on {facts['dataset']} to tell {labels} apart. How it was trained is not known here."


def rows(facts: Mapping[str, Any]) -> dict[str, str]:
    """What was taken over, by its name."""
    found = facts["adopted"]
    height, width = found["size"]
    mean, std = (", ".join(f"{value:g}" for value in found[name]) for name in ("mean", "std"))
    return {
        "Checkpoint": f"{found['file']}, of {found['toolkit']}",
        "Its SHA-256": found["sha256"],
        "Tensors taken over": f"{found['tensors']:,}",
        "Images": f"{height} × {width} pixels, by mean {mean} and deviation {std} of values from 0 to 1",
    }
