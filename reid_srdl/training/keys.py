"""What determines the weights at the end of a stage, as one hash: plans that begin alike share their first stages by it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from .. import devices, files
from ..config import Config
from .plans import Stage


def stage_key(config: Config, stage: Stage, number: int, *, device: torch.device, data_hash: str, before: str | None, reference: str | None) -> str:
    """Hash of all that determines the weights at the end of a stage.

    Args:
        config: of the run, with its precision settled.
        stage: what is done.
        number: of the stage, from 0; it is part of every seed.
        device: where.
        data_hash: of the training split.
        before: key of the stage whose weights are taken over; none for a fresh start.
        reference: how the soft targets were made; none without.
    """
    described = dataclasses.asdict(stage)
    for name in ("name", "reference"):
        described.pop(name)
    if stage.model.pooling == "avg":
        described["model"].pop("pooling")  # as earlier versions have it
    described["optimiser"].pop("rate")  # the rates of each epoch say it
    if described.pop("keep") == "best" or config.log.eval_every:
        # The log holds the scores on the way, and a stage that keeps its best epoch chooses by them.
        described["scored_on"] = [config.data.holdout_identities, config.data.holdout_per_class, config.log.eval_every, config.log.eval_split]
    if reference is None:
        described["losses"] = {key: described["losses"][key] for key in ("label_smoothing", "scale")}
    weights = stage.model.weights
    data = config.data
    return files.sha256_json(
        {
            "stage": described,
            "number": number,
            "weights": files.sha256_file(weights) if Path(weights).is_file() else weights,
            "before": before,
            "reference": reference,
            "data": data_hash,
            "size": config.size,
            **({"crop": data.crop} if data.crop != "none" else {}),
            "batch": [data.batch, data.sampler, data.instances],
            "augment": dataclasses.asdict(config.augment),
            "seed": config.seed,
            "precision": config.precision,
            "compile": config.compile,
            "threads": torch.get_num_threads(),
            "processes": devices.processes()[1],
            "device": devices.hardware(device).get("gpu", "cpu"),
            "torch": torch.__version__,
        }
    )[:32]
