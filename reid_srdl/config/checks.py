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
        "optimiser.rate": config.optimiser.rate,
        "loss.temperature": config.loss.temperature,
        "loss.scale": config.loss.scale,
        "plan.epochs": config.plan.epochs,
        "plan.generations": config.plan.generations,
    }
    for key, value in positive.items():
        if not value > 0:
            raise UserError(f"{key} is {value}", "It must be above 0.")
    fractions = {"augment.flip": config.augment.flip, "augment.erase": config.augment.erase,
                 "loss.label_smoothing": config.loss.label_smoothing,
                 **{f"schedule.drops[{i}]": drop for i, drop in enumerate(config.schedule.drops)}}  # fmt: skip
    for key, value in fractions.items():
        if not 0 <= value <= 1:
            raise UserError(f"{key} is {value}", "It must lie between 0 and 1.")
    if config.data.sampler == "identity" and config.data.batch % config.data.instances:
        raise UserError(
            f"data.batch {config.data.batch} is not a multiple of data.instances {config.data.instances}",
            "The identity sampler needs whole people in a batch.",
        )
