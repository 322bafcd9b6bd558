"""What to do with a run whose loss has become infinite or no number: its state leads there again however often it is resumed."""

from __future__ import annotations

from pathlib import Path

from .. import runs
from ..config import Config
from ..shell import command
from .plans import Stage


def way_out(config: Config, folder: Path, stage: Stage) -> str:
    """The command that starts a run anew, beside the old one, with half the rate in the stage that came apart."""
    rate = stage.optimiser.rate
    own = {"plan.first.rate": config.plan.first.rate, "plan.second.rate": config.plan.second.rate}
    option = next((name for name, value in own.items() if value == rate), "optimiser.rate")
    anew = command("train", "--config", folder / runs.CONFIG, "--output", f"{folder}-rate{rate / 2:g}", f"--{option}", f"{rate / 2:g}")
    wider = f" (or with --precision fp32: it ran in {config.precision})" if config.precision in ("bf16", "fp16") else ""
    return f"Resumed, it would come to the same. Start anew with a lower rate{wider}: {anew}"
