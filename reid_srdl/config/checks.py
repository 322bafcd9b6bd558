"""Values that no run can have."""

from __future__ import annotations

from ..errors import UserError
from .fields import Config


def check(config: Config) -> None:
    """Raises ``UserError`` for a value that no run can have."""
    positive = {
        "data.height": config.data.height,
        "data.width": config.data.width,
        "data.batch": config.data.batch,
        "data.instances": config.data.instances,
        "data.workers": config.data.workers,
        "data.train_per_class": config.data.train_per_class,
        "optimiser.rate": config.optimiser.rate,
        "loss.temperature": config.loss.temperature,
        "loss.scale": config.loss.scale,
        "plan.epochs": config.plan.epochs,
        "plan.generations": config.plan.generations,
        "threads": config.threads,
        "reference.top_k": config.reference.top_k,
        "plan.first.rate": config.plan.first.rate,
        "plan.first.scale": config.plan.first.scale,
        "plan.second.rate": config.plan.second.rate,
        "plan.second.scale": config.plan.second.scale,
        "plan.teacher.epochs": config.plan.teacher.epochs,
    }
    for key, value in positive.items():
        if value is not None and not value > 0:
            raise UserError(f"{key} is {value}", "It must be above 0.")
    not_negative = {
        "data.holdout_identities": config.data.holdout_identities,
        "data.holdout_per_class": config.data.holdout_per_class,
        "data.memory_gb": config.data.memory_gb,
        "optimiser.momentum": config.optimiser.momentum,
        "optimiser.weight_decay": config.optimiser.weight_decay,
        "loss.imitation": config.loss.imitation,
        "loss.ramp_epochs": config.loss.ramp_epochs,
        "log.eval_every": config.log.eval_every,
        "log.checkpoint_minutes": config.log.checkpoint_minutes,
    }
    for key, value in not_negative.items():
        if value is not None and not value >= 0:
            raise UserError(f"{key} is {value}", "It must not be below 0.")
    pad, most = config.augment.pad, min(config.size) - 1
    if not 0 <= pad <= most:
        raise UserError(f"augment.pad is {pad}", f"It must lie between 0 and {most}, one less than the images' shorter side.")
    fractions = {"loss.ramp_share": config.loss.ramp_share, "augment.flip": config.augment.flip, "augment.erase": config.augment.erase,
                 "loss.label_smoothing": config.loss.label_smoothing,
                 "plan.first.label_smoothing": config.plan.first.label_smoothing,
                 "plan.second.label_smoothing": config.plan.second.label_smoothing,
                 **{f"schedule.drops[{i}]": drop for i, drop in enumerate(config.schedule.drops)}}  # fmt: skip
    for key, value in fractions.items():
        if value is not None and not 0 <= value <= 1:
            raise UserError(f"{key} is {value}", "It must lie between 0 and 1.")
    if config.loss.ramp_share and config.loss.ramp_epochs:
        raise UserError("loss.ramp_epochs and loss.ramp_share both say how long the imitation weight ramps up", "Set one of them.")
    if config.data.sampler == "identity" and config.data.batch % config.data.instances:
        raise UserError(
            f"data.batch {config.data.batch} is not a multiple of data.instances {config.data.instances}",
            "The identity sampler needs whole people in a batch.",
        )
