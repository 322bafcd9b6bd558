"""Write a run's model card: data, recipe, scores, cost, limits and responsible use, from what the run recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ..errors import UserError
from ..shell import command
from . import of_run

if TYPE_CHECKING:
    from ..models.cost import Cost


@dataclass(frozen=True)
class CardOptions:
    """Write the model card of a finished run in Markdown, with a head that the Hugging Face Hub reads.

    Args:
        output: the file; null means ``README.md`` in the run folder, where the Hub looks for it.
        license: of the weights, by its identifier on the Hub, such as ``apache-2.0``; ``other`` says in the card that none was chosen.
    """

    output: Optional[str] = None
    license: str = "other"


def run(argv: list[str]) -> int:
    """``RUN`` and its options."""
    folder, options = of_run.parse(CardOptions, argv, "card")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", options.license):
        raise UserError(f"{options.license!r} is no identifier of a licence", "The Hub writes them small and without blanks: apache-2.0, cc-by-nc-4.0, other.")
    from ..report import card

    recorded = card.read(folder)
    written = card.write(folder, options.output, cost=_cost(recorded.run), licence=options.license)
    print(f"The model card is {written}.")
    if not recorded.scores:
        print("Next, fill in the scores:", command("eval", "--checkpoint", folder))
    elif recorded.calibration is None and not recorded.classifies:
        print("Next, fill in what a distance means:", command("calibrate", folder))
    else:
        print("Next, see what it finds:", command("report", folder))
    return 0


def _cost(folder: Path) -> Cost | None:
    """The cost of training, counted from the configuration; none where the network was adopted or cannot be built here, or its teacher is gone."""
    from .. import runs
    from ..experiments import cost
    from ..progress import says

    if runs.is_adopted(runs.read_facts(folder)):
        return None
    try:
        return cost.of_run(folder)
    except UserError as error:
        says(f"the card goes without multiply-accumulates: {error}")
        return None
