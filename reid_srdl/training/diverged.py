"""What to do with a run whose loss has become infinite or NaN: to resume it does not help, since its saved state leads there again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .. import runs
from ..config import Config
from ..shell import command
from . import plans
from .plans import Stage


def way_out(config: Config, folder: Path, stage: Stage) -> str:
    """A hint with the command that starts the run anew, in a folder beside the old one, with half the rate in the stage that diverged."""
    rate = stage.optimiser.rate
    option = next((f"plan.{name}.rate" for name in ("first", "second") if _decides(config, name, stage)), "optimiser.rate")
    anew = command("train", "--config", folder / runs.CONFIG, "--output", f"{folder}-rate{rate / 2:g}", f"--{option}", f"{rate / 2:g}")
    wider = f" (or with --precision fp32: it ran in {config.precision})" if config.precision in ("bf16", "fp16") else ""
    return f"Resumed, it would come to the same. Start anew with a lower rate{wider}: {anew}"


def _decides(config: Config, name: str, stage: Stage) -> bool:
    """Whether the stage's rate comes from ``plan.first.rate`` or ``plan.second.rate`` (``name`` says which): whether it changes with that one."""
    own = getattr(config.plan, name)
    if own.rate is None:
        return False
    other = dataclasses.replace(config, plan=dataclasses.replace(config.plan, **{name: dataclasses.replace(own, rate=own.rate / 2)}))
    return next(one for one in plans.build(other) if one.name == stage.name).optimiser.rate != stage.optimiser.rate
