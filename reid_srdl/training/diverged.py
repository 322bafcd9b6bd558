"""What to do with a run whose loss has become infinite or no number: its state leads there again however often it is resumed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .. import runs
from ..config import Config
from ..shell import command
from . import plans
from .plans import Stage


def way_out(config: Config, folder: Path, stage: Stage) -> str:
    """The command that starts a run anew, beside the old one, with half the rate in the stage that came apart."""
    rate = stage.optimiser.rate
    option = next((f"plan.{name}.rate" for name in ("first", "second") if _decides(config, name, stage)), "optimiser.rate")
    anew = command("train", "--config", folder / runs.CONFIG, "--output", f"{folder}-rate{rate / 2:g}", f"--{option}", f"{rate / 2:g}")
    wider = f" (or with --precision fp32: it ran in {config.precision})" if config.precision in ("bf16", "fp16") else ""
    return f"Resumed, it would come to the same. Start anew with a lower rate{wider}: {anew}"


def _decides(config: Config, name: str, stage: Stage) -> bool:
    """Whether the rate that ``plan.first`` or ``plan.second`` has of its own is the stage's: with another, the stage has another."""
    own = getattr(config.plan, name)
    if own.rate is None:
        return False
    other = dataclasses.replace(config, plan=dataclasses.replace(config.plan, **{name: dataclasses.replace(own, rate=own.rate / 2)}))
    return next(one for one in plans.build(other) if one.name == stage.name).optimiser.rate != stage.optimiser.rate
