"""Do two images show the same person? The distance, and the probability that the network's calibration gives it."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from .. import config as configuration
from ..errors import UserError, shown
from ..models.exported import InputOptions
from ..report.words import percent

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison

USAGE = """usage: verify A.jpg B.jpg [C.jpg ...] --checkpoint RUN [--probability P] [--prior P] [--json]

verify --help lists the options."""


@dataclass(frozen=True)
class VerifyOptions:
    """Compare two images, or each pair of several.

    Args:
        checkpoint: a run folder or an exported file that ``calibrate`` has been through (``export`` passes a run's calibration on).
        probability: from which on two images are called the same identity.
        prior: share of genuine pairs among those that are asked about; null means that of the calibration.
        json: print JSON.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        input: what an exported file from elsewhere takes.
    """

    checkpoint: Optional[str] = None
    probability: float = 0.5
    prior: Optional[float] = None
    json: bool = False
    device: str = "auto"
    input: InputOptions = InputOptions()


def run(argv: list[str]) -> int:
    """Images, then options."""
    images = list(itertools.takewhile(lambda word: not word.startswith("-"), argv))
    if not argv:
        print(USAGE)
        return 2
    options = configuration.parse(VerifyOptions, argv[len(images) :], prog="verify IMAGE IMAGE ...")
    if len(images) < 2:
        raise UserError("verify needs two images, before its options", "For instance: verify a.jpg b.jpg --checkpoint runs/demo")
    if options.checkpoint is None:
        raise UserError("verify needs --checkpoint", "Name the run folder (or exported file) whose network and calibration are used.")

    from .. import runs
    from ..evaluation import calibration
    from ..evaluation.comparison import Comparison

    trained = runs.load(options.checkpoint, options.device, input=options.input)
    found = calibration.required(trained, options.checkpoint)
    # What can be refused is refused before anything is computed.
    how = Comparison.by(found, options.probability, options.prior)
    pairs = itertools.combinations(zip(images, trained.embed(images, flip=found.flip), strict=True), 2)
    rows = [{"images": [one, other], **how.of(*vectors)} for (one, other), vectors in (zip(*pair, strict=True) for pair in pairs)]
    if options.json:
        print(json.dumps({**how.facts(), "pairs": rows}, indent=2))
    else:
        _show(rows, how)
        if found.tells_nothing:
            print(calibration.NOTHING)
    return 0


def _show(rows: list[dict[str, Any]], how: Comparison) -> None:
    for row in rows:
        called = "the same identity" if row["same"] else "different identities"
        print(f"{shown(' and '.join(row['images']))}: {called} (probability {percent(row['probability'])}%, distance {row['distance']:.4g})")
    none = f"no distance (the most that one has is {percent(how.most)}%)"
    distances = f"a distance of up to {how.limit:.4g}" if math.isfinite(how.limit) else "any distance" if how.limit > 0 else none
    print(f"Called the same from a probability of {how.probability:g} on, which is {distances}, where {how.prior:.4g} of all pairs are genuine (--prior).")
    print("A near embedding is a hint and no proof of identity.")
