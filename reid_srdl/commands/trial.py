"""A few training steps before the real runs, to find the precision that all runs of a comparison share, and their speed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import UserError

if TYPE_CHECKING:
    from ..config import Config, ModelConfig
    from ..experiments.study import Found, Study


def shared_precision(configs: Sequence[Config], found: Found) -> str:
    """One precision for all arms of a study, given their configurations: that of its finished runs, or else one that is settled here once, on all their networks."""
    from ..training import plans

    finished = [record["precision"] for record in found.values() if "precision" in record]  # a try that diverged before its first step was over may have none
    if finished:
        return finished[0]
    first = configs[0]
    return _trial(tuple(dict.fromkeys(_bare(stage.model) for config in configs for stage in plans.build(config))), first.size, first.data.batch, first.device, first.precision)[0]


def precision_flags(plan: Study, found: Found) -> tuple[str, ...]:
    """Flags that give all runs of a study one precision where its recipe says ``auto``: else each run would settle its own, by how busy the machine is.

    Raises:
        UserError: some arms state one and others do not.
    """
    from ..experiments.spending import configuration_of

    configured = {arm: configuration_of(plan, arm) for arm in plan.arms}
    left = [arm for arm, config in configured.items() if config.precision == "auto"]
    if left and len(left) < len(configured):
        raise UserError(f"the study {plan.name} states the precision of some arms, and not of {', '.join(left)}", "State one for all in its settings, such as {precision: fp32}.")
    return ("--precision", shared_precision([configured[arm] for arm in left], found)) if left else ()


def images_per_s(config: Config) -> float:
    """Training images per second on this machine, from a few steps of a small batch."""
    return _trial((_bare(config.model),), config.size, config.data.batch, config.device, config.precision)[1]


def _bare(model: ModelConfig) -> ModelConfig:
    """The same network with random weights."""
    return dataclasses.replace(model, weights="none")


@functools.cache
def _trial(models: tuple[ModelConfig, ...], size: tuple[int, int], batch: int, device: str, wanted: str) -> tuple[str, float]:
    """The precision that ``wanted`` becomes, and the training images per second with it when all networks see each image."""
    import torch

    from .. import devices
    from ..models import configured
    from ..training import precision

    place = devices.choose(device)
    networks = [configured(model, 100, size) for model in models]
    batch = min(batch, 16) if place.type == "cpu" else batch
    settled, timed = precision.settle(wanted, networks, device=place, size=size, batch=batch)
    seconds = timed.get(settled) or sum(precision.step_seconds(network, devices.Place(place, settled), size, batch) for network in networks)
    if place.type == "cuda":
        torch.cuda.empty_cache()  # the runs that this process starts need it
    return settled, batch / seconds
