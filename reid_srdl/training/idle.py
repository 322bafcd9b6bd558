"""Options that were set but have no effect on the run: usually another one was forgotten that makes use of them."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..config import Config, changed
from . import plans


def idle(config: Config) -> list[str]:
    """The fields that are not at their default and change nothing in this run, each with the reason in brackets."""
    asked: set[str] = set()
    plan = plans.build(dataclasses.replace(config, plan=_Noting(config.plan, "plan.", asked)))
    imitates = any(stage.reference is not None for stage in plan)
    imitated = f"plan {config.plan.name} imitates nobody", not imitates
    steps = "schedule.name is cosine", config.schedule.name == "cosine"
    of_sgd = f"optimiser.name is {config.optimiser.name}", config.optimiser.name != "sgd"
    made = changed(type(config)(), config)
    uses = {
        "metric.": ("metric.name is none", config.metric.name == "none"),
        "ema.": ("ema.decay is 0", not config.ema.decay),
        "reference.": imitated,
        "loss.temperature": imitated,
        "loss.imitation": imitated,
        "loss.ramp_": imitated,
        "plan.generations": ("plan.name is not born_again", config.plan.name != "born_again"),
        "plan.teacher.": ("plan.name is not kd", config.plan.name != "kd"),
        "log.eval_every": ("no stage has so many epochs", config.log.eval_every > max(stage.epochs for stage in plan)),
        "log.eval_split": ("log.eval_every is 0", not config.log.eval_every),
        "optimiser.momentum": of_sgd,
        "optimiser.nesterov": of_sgd,
        "optimiser.betas": ("optimiser.name is sgd", config.optimiser.name == "sgd"),
        "data.instances": ("data.sampler is random", config.data.sampler == "random"),
        "schedule.drops": steps,
        "schedule.factor": steps,
        "schedule.final": ("schedule.name is steps", config.schedule.name == "steps"),
        "schedule.warmup_from": ("schedule.warmup_epochs is 0", not config.schedule.warmup_epochs),
        "augment.pad_mode": ("augment.pad is 0", not config.augment.pad),
    }
    found = {name: f"plan {config.plan.name} does not ask for it here" for name in made if name.startswith("plan.") and name not in asked}
    found |= {name: why for name in made for begins, (why, without) in uses.items() if without and name.startswith(begins)}
    return [f"{name} ({found[name]})" for name in made if name in found]


class _Noting:
    """A group of options that notes the full names of those that a plan reads.

    Args:
        group: the options.
        before: what their full names begin with, such as ``plan.``.
        asked: the set that the names are added to.
    """

    def __init__(self, group: Any, before: str, asked: set[str]) -> None:
        self._group, self._before, self._asked = group, before, asked

    def __getattr__(self, name: str) -> Any:
        value, whole = getattr(self._group, name), f"{self._before}{name}"
        if dataclasses.is_dataclass(value):
            return _Noting(value, f"{whole}.", self._asked)
        self._asked.add(whole)
        return value
