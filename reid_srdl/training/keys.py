"""What determines the weights at the end of a stage, as one hash: plans that begin alike share their first stages by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from .. import devices, files, ranks
from ..config import Config, LossConfig
from ..models import BACKBONES
from ..registered import code_of, function_of
from .metric_losses import LOSSES
from .plans import Stage


def stage_key(
    config: Config, stage: Stage, number: int, *, device: torch.device, data_hash: str, scored: str | None, score: Callable[..., Any] | None = None, before: str | None, reference: str | None
) -> str:
    """Hash of all that determines the weights at the end of a stage.

    Args:
        config: of the run, with its precision settled.
        stage: what is done.
        number: of the stage, from 0; it is part of every seed.
        device: where it is trained.
        data_hash: of the training split.
        scored: hash of the images that are scored during training; None where none are.
        score: the function that scores them.
        before: key of the stage whose weights are taken over; none for a fresh start.
        reference: how the soft targets were made; none without.
    """
    described = {
        "epochs": stage.epochs,
        "start": stage.start,
        "rates": list(stage.rates),
        "model": _said(stage.model, "backbone", "weights", "neck", "last_stride"),
        "optimiser": _said(stage.optimiser, "momentum", "nesterov", "weight_decay", without=("rate",)),  # it is in the rates above
        "losses": _losses(stage.losses, imitates=reference is not None),
    }
    if stage.metric.name != "none":
        described["metric"] = dataclasses.asdict(stage.metric)
    if stage.ema.decay:
        described["ema"] = dataclasses.asdict(stage.ema)
    if stage.keep != "last":
        described["keep"] = stage.keep
    if scored is not None:
        # The log holds the scores during training, and a stage that keeps its best epoch chooses by them.
        described["scored_on"] = [config.data.holdout_identities, config.data.holdout_per_class, config.log.eval_every, config.log.eval_split, scored]
        described["scored_on"] += [config.distance] if config.distance != Config().distance else []
    if foreign := _foreign_code(stage, score if scored is not None else None):
        described["code"] = foreign
    weights = files.expanded(stage.model.weights)
    data = config.data
    return files.sha256_json(
        {
            "stage": described,
            "number": number,
            "weights": files.sha256_file(weights) if weights.is_file() else stage.model.weights,
            "before": before,
            "reference": reference,
            "data": data_hash,
            "size": config.size,
            **({"crop": [data.crop, "drawn by stage"]} if data.crop != "none" else {}),
            "batch": [data.batch, data.sampler, data.instances],
            "augment": _said(config.augment, "flip", "pad", "pad_mode", "erase"),
            **({"erased": "drawn again where it does not fit"} if config.augment.erase else {}),
            "seed": config.seed,
            "precision": config.precision,
            "compile": config.compile,
            "threads": torch.get_num_threads(),
            "processes": ranks.own()[1],
            "device": devices.hardware(device).get("gpu", "cpu"),
            "torch": torch.__version__,
        }
    )[:32]


def _foreign_code(stage: Stage, score: Callable[..., Any] | None) -> dict[str, str]:
    """Hashes of the source files of a user's own backbone, metric loss and score: their code may change while their names stay."""
    targets = {"backbone": BACKBONES.get(stage.model.backbone), "metric": LOSSES.get(stage.metric.name), "score": score}
    hashes = {name: code_of(function_of(target)) for name, target in targets.items() if target is not None}
    return {name: code for name, code in hashes.items() if code is not None}


def _said(choices: Any, *always: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options of a group that a key holds: those in ``always``, and every other one that is not at its default.

    So an option that a later version adds changes no key until it is set, and stages that are stored already are still found.
    """
    default = type(choices)()
    names = [f.name for f in dataclasses.fields(choices) if f.name not in without]
    return {name: getattr(choices, name) for name in names if name in always or getattr(choices, name) != getattr(default, name)}


def _losses(losses: LossConfig, imitates: bool) -> dict[str, Any]:
    if imitates:
        return _said(losses, "label_smoothing", "temperature", "imitation", "ramp_epochs", "ramp_share", "scale")
    return _said(losses, "label_smoothing", "scale", without=("temperature", "imitation", "ramp_epochs", "ramp_share"))
