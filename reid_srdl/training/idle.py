"""Choices that were made and that a run has no use for: usually another one was forgotten that would give them a meaning."""

from __future__ import annotations

from ..config import Config, changed
from . import plans


def idle(config: Config) -> list[str]:
    """The fields that are not at their default and change nothing in this run, each with the reason in brackets."""
    plan = plans.build(config)
    imitates = any(stage.reference is not None for stage in plan)
    imitated = f"plan {config.plan.name} imitates nobody", not imitates
    steps = "schedule.name is cosine", config.schedule.name == "cosine"
    uses = {
        "metric.": ("metric.name is none", config.metric.name == "none"),
        "ema.": ("ema.decay is 0", not config.ema.decay),
        "reference.": imitated,
        "loss.temperature": imitated,
        "loss.imitation": imitated,
        "loss.ramp_": imitated,
        "plan.generations": ("plan.name is not born_again", config.plan.name != "born_again"),
        "plan.teacher.": ("plan.name is not kd", config.plan.name != "kd"),
        "plan.second.": (f"plan {config.plan.name} has one stage", len(plan) == 1),
        "data.instances": ("data.sampler is random", config.data.sampler == "random"),
        "schedule.drops": steps,
        "schedule.factor": steps,
        "schedule.final": ("schedule.name is steps", config.schedule.name == "steps"),
        "schedule.warmup_from": ("schedule.warmup_epochs is 0", not config.schedule.warmup_epochs),
        "augment.pad_mode": ("augment.pad is 0", not config.augment.pad),
    }
    made = changed(type(config)(), config)
    return [f"{name} ({why})" for name in made for begins, (why, without) in uses.items() if without and name.startswith(begins)]
