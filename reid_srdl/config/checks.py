"""Values that no run can have."""

from __future__ import annotations

import functools
from typing import Literal, get_args, get_origin

from ..errors import UserError
from ..ranges import check_ranges
from .explained import refused
from .fields import Config
from .keys import keys_of, types_of


def check(config: Config) -> None:
    """Raises ``UserError`` for a value that no run can have."""
    _check_words(config)
    _check_texts(config)
    check_ranges(config)
    pad, most = config.augment.pad, min(config.size) - 1
    if not 0 <= pad <= most:
        raise UserError(f"augment.pad is {pad}", f"It must lie between 0 and {most}, one less than the images' shorter side.")
    if config.loss.ramp_share and config.loss.ramp_epochs:
        raise UserError("loss.ramp_epochs and loss.ramp_share both say how long the imitation weight ramps up", "Set one of them.")
    if config.data.sampler == "identity" and config.data.batch % config.data.instances:
        raise UserError(
            f"data.batch {config.data.batch} is not a multiple of data.instances {config.data.instances}",
            "The identity sampler needs whole people in a batch.",
        )
    if config.optimiser.accumulate > config.data.batch:
        raise UserError(f"optimiser.accumulate is {config.optimiser.accumulate:,}", f"It must be {config.data.batch:,} at most, data.batch: a part has an image or more.")
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
