"""What to do, as data: a plan is a tuple of stages, and every method of the paper is a plan.

A stage says where its weights come from, how long it lasts, its rates, its losses, and what it imitates. One loop carries out
them all (``engine.py``).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..config import (
    Config,
    EmaConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    OptimiserConfig,
    ReferenceConfig,
    StageConfig,
)
from ..errors import UserError
from .schedules import scheduled


@dataclass(frozen=True)
class Imitated:
    """Whose beliefs a stage learns from: an earlier stage by name, or a finished run or checkpoint file.

    ``temperature`` is that of the stage that learns; several views are averaged at it.
    """

    stage: str | None = None
    checkpoint: str | None = None
    how: ReferenceConfig = ReferenceConfig()
    temperature: float = 3.0


@dataclass(frozen=True)
class Stage:
    """One uninterrupted stretch of training.

    Args:
        name: also of its folder.
        epochs: how many.
        start: ``fresh`` draws new weights (or reloads the pretrained backbone under a new classifier), ``continue`` takes over those of the stage before.
        model: the network.
        optimiser: its options; a stage always begins with a new optimiser.
        rates: learning rate of each epoch.
        losses: weights of Eq. 7.
        metric: a loss on distances or angles beside them.
        ema: an average of the weights, which begins with the stage.
        reference: what it imitates; none trains from the labels alone.
        keep: which epoch's network the stage hands on: the ``last``, or the ``best`` on the held-out part of the training set.
        teaches: whether it trains a teacher, whose epochs are not counted in those of the plan.
    """

    name: str
    epochs: int
    start: Literal["fresh", "continue"]
    model: ModelConfig
    optimiser: OptimiserConfig
    rates: tuple[float, ...]
    losses: LossConfig
    metric: MetricConfig = MetricConfig()
    ema: EmaConfig = EmaConfig()
    reference: Imitated | None = None
    keep: Literal["last", "best"] = "last"
    teaches: bool = False


Plan = tuple[Stage, ...]


def _stage(
    config: Config,
    name: str,
    epochs: int,
    override: StageConfig,
    *,
    start: Literal["fresh", "continue"] = "fresh",
    reference: Imitated | None = None,
    schedule: tuple[int, int] | None = None,
    flag: str = "--plan.epochs",
) -> Stage:
    """A stage from the run's configuration and what is set for this stage (``override``).

    ``schedule`` is (length, offset) in epochs, where the stage is part of a longer schedule; its own length and 0 by default. ``flag``: the option that makes it longer.
    """
    length, offset = schedule or (epochs, 0)
    base = config.optimiser.rate if override.rate is None else override.rate
    _check_beginning(config, name, epochs, length, flag)
    rates = scheduled(config.schedule, base, length)[offset : offset + epochs]
    changes = {key: getattr(override, key) for key in ("label_smoothing", "scale") if getattr(override, key) is not None}
    optimiser = dataclasses.replace(config.optimiser, rate=base)
    ramp = config.loss.ramp_epochs or round(config.loss.ramp_share * epochs)
    losses = dataclasses.replace(config.loss, **changes, ramp_epochs=ramp, ramp_share=0.0)
    return Stage(name, epochs, start, config.model, optimiser, rates, losses, config.metric, config.ema, reference)


def _check_beginning(config: Config, name: str, epochs: int, length: int, flag: str) -> None:
    """Raises ``UserError`` for a stage that would end in its warm-up or with a frozen backbone; ``flag`` is the option that makes it longer."""
    if config.schedule.warmup_epochs >= length:
        raise UserError(
            f"a warm-up of {config.schedule.warmup_epochs} epochs takes all {length} of stage {name}",
            f"Lower --schedule.warmup_epochs, or raise {flag}: each stage has a schedule of its own.",
        )
    if config.optimiser.frozen_epochs >= epochs:
        raise UserError(
            f"the backbone would be frozen for all {epochs} epochs of stage {name}",
            f"Lower --optimiser.frozen_epochs, or raise {flag}: each stage begins with a frozen backbone.",
        )


def _halves(config: Config) -> tuple[int, int]:
    """Epochs of two stages; the first has floor(M / 2) unless the plan says otherwise."""
    total, first, second = config.plan.epochs, config.plan.first.epochs, config.plan.second.epochs
    if total < 2:
        raise UserError(f"plan {config.plan.name} needs at least 2 epochs, one a stage", "Raise --plan.epochs.")
    if first is None:
        first = total // 2 if second is None else total - second
    if second is None:
        second = total - first
    if first < 1 or second < 1 or first + second != total:
        raise UserError(
            f"stages of {first} and {second} epochs do not make {total}", "Set --plan.epochs, --plan.first.epochs and --plan.second.epochs to agree."
        )
    return first, second


def _check_no_lengths(config: Config, instead: str) -> None:
    """Raises ``UserError`` where the length of a stage is set, for a plan that does not take any; ``instead`` is the hint."""
    for name in ("first", "second"):
        if getattr(config.plan, name).epochs is not None:
            raise UserError(f"plan {config.plan.name} takes no --plan.{name}.epochs", instead)


def _imitated(config: Config, **whose: str) -> Imitated:
    return Imitated(**whose, how=config.reference, temperature=config.loss.temperature)


def vanilla(config: Config) -> Plan:
    """Cross-entropy for all epochs."""
    return (_stage(config, "first", config.plan.epochs, config.plan.first),)


def early_stopped(config: Config) -> Plan:
    """A control: cross-entropy for all epochs, of which the one with the best score on held-out images or people is kept."""
    log, data = config.log, config.data
    if not 0 < log.eval_every <= config.plan.epochs or log.eval_split != "val" or not (data.holdout_identities or data.holdout_per_class):
        raise UserError(
            "plan early_stopped chooses its epoch by scores on held-out images",
            "Set --log.eval_every (at most --plan.epochs), and --data.holdout_per_class or (re-identification) --data.holdout_identities.",
        )
    return (dataclasses.replace(vanilla(config)[0], keep="best"),)


def half(config: Config) -> Plan:
    """A control: half of the epochs alone, which is the first stage of SRDL."""
    return (_stage(config, "first", _halves(config)[0], config.plan.first),)


def srdl(config: Config) -> Plan:
    """The paper's method: a complete schedule, soft targets, a restart, a complete schedule with imitation."""
    first, second = _halves(config)
    return (
        _stage(config, "first", first, config.plan.first),
        _stage(config, "second", second, config.plan.second, reference=_imitated(config, stage="first")),
    )


def no_reference(config: Config) -> Plan:
    """A control: two stages as in SRDL, the second from the labels alone."""
    first, second = _halves(config)
    return (_stage(config, "first", first, config.plan.first), _stage(config, "second", second, config.plan.second))


def no_restart(config: Config) -> Plan:
    """Table 5: the second stage continues from the first one's weights."""
    one, two = srdl(config)
    return one, dataclasses.replace(two, start="continue")


def continued(config: Config) -> Plan:
    """A control for Table 5: the second stage continues from the labels alone, so that only the rate restarts."""
    one, two = no_reference(config)
    return one, dataclasses.replace(two, start="continue")


def stage_incomplete(config: Config) -> Plan:
    """Table 4: one schedule over both stages, so that the soft targets come from a network that never saw a low rate."""
    first, second = _halves(config)
    total = first + second
    return (
        _stage(config, "first", first, config.plan.first, schedule=(total, 0)),
        _stage(config, "second", second, config.plan.second, reference=_imitated(config, stage="first"), schedule=(total, first)),
    )


def born_again(config: Config) -> Plan:
    """Generations that each imitate the one before (Furlanello et al. 2018), within the same total of epochs."""
    _check_no_lengths(config, "Each generation has the same share of --plan.epochs.")
    count, total = config.plan.generations, config.plan.epochs
    if total < count:
        raise UserError(f"{total} epochs do not make {count} generations", "Raise --plan.epochs or lower --plan.generations.")
    stages: list[Stage] = []
    for number in range(count):
        epochs = (number + 1) * total // count - number * total // count
        override = config.plan.second if number else config.plan.first
        reference = _imitated(config, stage=stages[-1].name) if stages else None
        stages.append(_stage(config, f"generation{number + 1}", epochs, override, reference=reference))
    return tuple(stages)


def kd(config: Config) -> Plan:
    """Knowledge distillation (Hinton et al. 2015) from a finished network, or from a teacher trained as a stage of its own."""
    _check_no_lengths(config, "The student has --plan.epochs, the teacher --plan.teacher.epochs.")
    teacher = config.plan.teacher
    if teacher.checkpoint is not None:
        reference = _imitated(config, checkpoint=teacher.checkpoint)
        return (_stage(config, "student", config.plan.epochs, config.plan.second, reference=reference),)
    model = dataclasses.replace(config.model, backbone=teacher.backbone, weights=teacher.weights)
    trained = _stage(dataclasses.replace(config, model=model), "teacher", teacher.epochs or config.plan.epochs, config.plan.first, flag="--plan.teacher.epochs")
    return (dataclasses.replace(trained, teaches=True), _stage(config, "student", config.plan.epochs, config.plan.second, reference=_imitated(config, stage="teacher")))


PLANS: dict[str, Callable[[Config], Plan]] = {
    "vanilla": vanilla,
    "srdl": srdl,
    "early_stopped": early_stopped,
    "half": half,
    "no_reference": no_reference,
    "no_restart": no_restart,
    "continued": continued,
    "stage_incomplete": stage_incomplete,
    "born_again": born_again,
    "kd": kd,
}


def build(config: Config) -> Plan:
    """The plan that a configuration asks for. Raises ``UserError`` for a name that is unknown or epochs that do not fit."""
    name = config.plan.name
    if name not in PLANS:
        near = difflib.get_close_matches(name, PLANS, n=2)
        raise UserError(f"there is no plan {name!r}", (f"Did you mean {' or '.join(near)}? " if near else "") + f"Choose --plan.name from: {', '.join(sorted(PLANS))}.")
    plan = PLANS[name](config)
    if not config.loss.cross_entropy and config.metric.pairs and any(stage.reference and stage.reference.stage for stage in plan):
        raise UserError(
            f"nothing trains the classifier whose beliefs plan {name} imitates: loss.cross_entropy is 0, and metric.name {config.metric.name} does without it",
            "Raise --loss.cross_entropy, or choose a plan that imitates nothing, such as vanilla.",
        )
    return plan
