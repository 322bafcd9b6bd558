"""Values that no run can have."""

from __future__ import annotations

import functools
import math
from typing import Literal, get_args, get_origin

from ..errors import UserError
from .explained import refused
from .fields import Config
from .keys import keys_of, types_of

MOST_THREADS = 4096
"""CPU threads at most: more than any machine has cores. Torch accepts any number of 31 bits, and ends the process where the system cannot start as many."""


def check(config: Config) -> None:
    """Raises ``UserError`` for a value that no run can have."""
    _check_words(config)
    _check_texts(config)
    _check_finite(config)
    positive = {
        "data.height": config.data.height,
        "data.width": config.data.width,
        "data.batch": config.data.batch,
        "data.instances": config.data.instances,
        "data.workers": config.data.workers,
        "data.train_per_class": config.data.train_per_class,
        "optimiser.rate": config.optimiser.rate,
        "optimiser.backbone_rate": config.optimiser.backbone_rate,
        "optimiser.clip": config.optimiser.clip,
        "optimiser.accumulate": config.optimiser.accumulate,
        "metric.weight": config.metric.weight,
        "metric.scale": config.metric.scale,
        "loss.temperature": config.loss.temperature,
        "loss.scale": config.loss.scale,
        "plan.epochs": config.plan.epochs,
        "plan.generations": config.plan.generations,
        "threads": config.threads,
        "reference.top_k": config.reference.top_k,
        "reference.views": config.reference.views,
        "plan.first.rate": config.plan.first.rate,
        "plan.first.scale": config.plan.first.scale,
        "plan.second.rate": config.plan.second.rate,
        "plan.second.scale": config.plan.second.scale,
        "plan.teacher.epochs": config.plan.teacher.epochs,
        "schedule.factor": config.schedule.factor,
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
        "optimiser.frozen_epochs": config.optimiser.frozen_epochs,
        "schedule.warmup_epochs": config.schedule.warmup_epochs,
        "metric.margin": config.metric.margin,
        "loss.cross_entropy": config.loss.cross_entropy,
        "loss.imitation": config.loss.imitation,
        "loss.ramp_epochs": config.loss.ramp_epochs,
        "log.eval_every": config.log.eval_every,
        "log.checkpoint_minutes": config.log.checkpoint_minutes,
    }
    for key, value in not_negative.items():
        if value is not None and not value >= 0:
            raise UserError(f"{key} is {value}", "It must not be below 0.")
    if config.threads is not None and config.threads > MOST_THREADS:
        raise UserError(f"threads is {config.threads:,}", f"It must be {MOST_THREADS:,} at most; left out, it is the number of cores.")
    pad, most = config.augment.pad, min(config.size) - 1
    if not 0 <= pad <= most:
        raise UserError(f"augment.pad is {pad}", f"It must lie between 0 and {most}, one less than the images' shorter side.")
    fractions = {"loss.ramp_share": config.loss.ramp_share, "augment.flip": config.augment.flip, "augment.erase": config.augment.erase,
                 "loss.label_smoothing": config.loss.label_smoothing,
                 "plan.first.label_smoothing": config.plan.first.label_smoothing,
                 "plan.second.label_smoothing": config.plan.second.label_smoothing,
                 "schedule.warmup_from": config.schedule.warmup_from, "schedule.final": config.schedule.final, "ema.decay": config.ema.decay,
                 **{f"optimiser.betas[{i}]": beta for i, beta in enumerate(config.optimiser.betas)},
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
    below_one = {"ema.decay": config.ema.decay, "optimiser.momentum": config.optimiser.momentum, **{f"optimiser.betas[{i}]": beta for i, beta in enumerate(config.optimiser.betas)}}
    for key, value in below_one.items():
        if value >= 1:
            raise UserError(f"{key} is {value:g}", "It must be below 1, or nothing new would ever count.")
    if config.reference.weights == "ema" and not config.ema.decay:
        raise UserError("reference.weights ema, but no average is kept", "Set --ema.decay, such as 0.999.")
    if config.reference.views > 1 and config.data.crop != "none":
        raise UserError(
            f"reference.views is {config.reference.views}, and with data.crop {config.data.crop} a view would be the centre of the image again",
            "Leave --reference.views out; --reference.flip averages over the image and its mirror.",
        )
    _check_metric(config)


def _check_words(config: Config) -> None:
    """Refuses words that are no choice of their option: the parser does so, too, but not for a configuration made in Python."""
    for key, kinds in types_of(Config):
        value = functools.reduce(getattr, key.split("."), config)
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        if words and value not in words and not (value is None and type(None) in kinds):
            raise UserError(*refused(key, str(value), kinds))


def _check_texts(config: Config) -> None:
    """Refuses texts that are not UTF-8, as names of files may be: neither YAML nor safetensors could read them again."""
    for key in keys_of(Config):
        value = functools.reduce(getattr, key.split("."), config)
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise UserError(f"{key} is {value!a}, which is no text in UTF-8", "Give it another name, or name a link to it.") from None


def _check_finite(config: Config) -> None:
    for key in keys_of(Config):
        value = functools.reduce(getattr, key.split("."), config)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"{key} is {number}", "It must be a finite number.")


def _check_metric(config: Config) -> None:
    metric, data, parts = config.metric, config.data, config.optimiser.accumulate
    if metric.name == "none" and not config.loss.cross_entropy:
        raise UserError("loss.cross_entropy is 0, and there is no metric term either", "Set --loss.cross_entropy or --metric.name: the first stage would learn nothing.")
    if metric.name == "triplet" and metric.scale is not None:
        raise UserError("metric.scale is for cosines, and a triplet compares distances", "Leave it out, or set --metric.weight.")
    if not metric.pairs:
        return
    if data.sampler != "identity" or data.instances < 2:
        raise UserError(
            f"metric.name {metric.name} compares several images of a person, and such a batch has them by chance at best",
            "Set --data.sampler identity, and --data.instances to 2 or more.",
        )
    whole = parts * data.instances
    if data.batch % whole or data.batch < 2 * whole:
        raise UserError(
            f"metric.name {metric.name} compares people of {data.instances} images, and a batch of {data.batch} in {parts} parts does not have two whole ones in each",
            f"Set --data.batch to a multiple of {whole} (accumulate times instances), at least {2 * whole}, or lower --optimiser.accumulate.",
        )
