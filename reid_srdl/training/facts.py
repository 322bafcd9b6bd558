"""``run.json``: what a reader of a result wants to know of the run, and what a resumed run must share with its beginning."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import __version__, devices, ranks, runs
from ..config import Config
from ..errors import UserError
from .plans import Plan


def describe(
    config: Config, plan: Plan, *, dataset: str, images: int, identities: int, kind: str, data_hash: str, scored: str | None, device: torch.device, precision_timed: dict[str, float]
) -> dict[str, Any]:
    """The facts of a run that begins now.

    ``kind`` is ``identities`` or ``classes``; ``scored`` is the hash of the images that the run is scored on as it trains (None where it is not);
    ``precision_timed`` has the seconds of a step in each precision that was tried.
    """
    import lightning_fabric
    import torchvision

    return {
        "finished": False,
        "dataset": dataset,
        "images": images,
        "identities": identities,
        "kind": kind,
        "data_hash": data_hash,
        **({} if scored is None else {"scored_hash": scored}),
        "plan": config.plan.name,
        "seed": config.seed,
        "device": str(device),
        "precision": config.precision,
        "precision_timed": precision_timed,
        "threads": torch.get_num_threads(),
        "processes": ranks.own()[1],
        "hardware": devices.hardware(device),
        "versions": {
            "reid_srdl": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "lightning_fabric": lightning_fabric.__version__,
            "numpy": np.__version__,
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "stages": [
            {"name": stage.name, "folder": runs.stage_folder(Path(), number, stage.name).name, "epochs": stage.epochs} for number, stage in enumerate(plan)
        ],
    }


def differences(before: dict[str, Any], now: dict[str, Any], folder: Path) -> list[str]:
    """Notes on what differs between a resumed run and its beginning, one line each.

    Raises:
        UserError: the images that it is trained on, or scored on as it trains, have changed.
    """
    for key, which in (("data_hash", "training images of"), ("scored_hash", "images that are scored in the training of")):
        if key in before and key in now and before[key] != now[key]:
            raise UserError(
                f"the {which} {folder} have changed since it began", "Restore them (their list and sizes are hashed), or start a new run with another --output."
            )
    lines = [
        f"note: the run began with {what}: {before[key]}, now {now[key]}; the result will not be bit-identical to an unbroken run"
        for key, what in (("threads", "CPU threads"), ("processes", "processes"), ("device", "device"))
        if before[key] != now[key]
    ]
    gpus = [facts["hardware"].get("gpu") for facts in (before, now)]
    if before["device"] == now["device"] and gpus[0] != gpus[1]:
        lines.append(f"note: the run began on another GPU ({gpus[0]}), now {gpus[1]}; the result will not be bit-identical to an unbroken run")
    changed = [name for name in now["versions"] if before["versions"].get(name) != now["versions"][name]]
    if changed:
        lines.append(f"note: other versions than when the run began ({', '.join(changed)}); the result may differ in its last bits")
    return lines
