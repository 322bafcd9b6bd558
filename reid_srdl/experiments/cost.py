"""What training costs in multiply-accumulates (the paper's TrCost, Tables 1 and 2), counted from what is done and not from time.

The convention: forward MACs of convolutions and linear layers for one image x epochs x images, plus one forward pass over
the training images for each set of soft targets. The backward pass, about twice the forward one, is left out of all alike, and
so are the scorings that only tell how training goes. An epoch counts as all training images, also where the identity sampler leaves some
of them out (about 8% on Market-1501).
"""

from __future__ import annotations

import functools
from pathlib import Path

from .. import runs
from ..config import Config, ModelConfig
from ..models import configured
from ..models.cost import Cost, forward_macs
from ..training.plans import Plan


@functools.cache
def macs_of(model: ModelConfig, num_classes: int, size: tuple[int, int]) -> int:
    """Forward MACs of a network for one image of ``size`` (height, width)."""
    network = configured(model, num_classes, size, weights="none")
    return forward_macs(network, size)


def planned(config: Config, plan: Plan, images: int, num_classes: int) -> Cost:
    """The cost of a plan over ``images`` training images.

    A finished teacher (``plan.teacher.checkpoint``) counts with what its own run cost.
    """
    training = extraction = teacher = 0
    for number, stage in enumerate(plan):
        spent = macs_of(stage.model, num_classes, config.size) * stage.epochs * images
        if stage.teaches:
            teacher += spent
        else:
            training += spent
        if stage.reference is None:
            continue
        views = (1 + stage.reference.how.flip) * stage.reference.how.views
        if stage.reference.checkpoint is not None:
            file = runs.read_model(runs.checkpoint_file(Path(stage.reference.checkpoint)))
            extraction += macs_of(file.model, len(file.labels), file.size) * images * views
            teacher += _of_run(Path(stage.reference.checkpoint))
        else:
            by = next(earlier for earlier in plan[:number] if earlier.name == stage.reference.stage)
            extraction += macs_of(by.model, num_classes, config.size) * images * views
    return Cost(training, extraction, teacher)


def _of_run(checkpoint: Path) -> int:
    """What a teacher's own run cost; 0 where that is unknown, because only its file is there or another toolkit trained it."""
    known = (checkpoint / runs.FACTS).is_file() and not runs.is_adopted(runs.read_facts(checkpoint))
    return of_run(checkpoint).total if known else 0


def of_run(run: Path) -> Cost:
    """The cost of a finished run, from its configuration."""
    from .. import config as configuration
    from ..training import plans

    facts = runs.read_facts(run)
    config = configuration.load(run / runs.CONFIG)
    return planned(config, plans.build(config), facts["images"], facts["identities"])
