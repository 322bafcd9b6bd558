"""Do two images show the same person? The distance, and the probability that the network's calibration gives it."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from .. import config as configuration
from ..errors import UserError, shown
from ..models.exported import InputOptions
from ..report.words import percent

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

    trained = runs.load(options.checkpoint, options.device, input=options.input)
    found = calibration.of_network(trained)
    if found is None or not calibration.fits(found, trained):
        state = "has no calibration" if found is None else "has a calibration of another network"
        raise UserError(f"{options.checkpoint} {state}", f"Make one: {calibration.making(trained, options.checkpoint)}")
    prior = found.prior if options.prior is None else options.prior
    # What can be refused is refused before anything is computed.
    limit = found.threshold(options.probability, prior)
    vectors = trained.embed(images, flip=found.flip)
    rows = [_compared(images, vectors, pair, found, limit, prior) for pair in itertools.combinations(range(len(images)), 2)]
    most = found.most(prior)
    if options.json:
        print(json.dumps({"threshold": limit if math.isfinite(limit) else None, "most": most, "metric": found.metric, "prior": prior, "pairs": rows}, indent=2))
    else:
        _show(rows, limit, most, prior, options.probability)
        if found.tells_nothing:
            print(calibration.NOTHING)
    return 0


def _compared(images: list[str], vectors: np.ndarray, pair: tuple[int, int], found: Any, limit: float, prior: float) -> dict[str, Any]:
    distance = found.distance(*(vectors[row] for row in pair))
    probability = float(found.probability(np.array([distance]), prior)[0])
    return {"images": [images[row] for row in pair], "distance": distance, "probability": probability, "same": distance <= limit}


def _show(rows: list[dict[str, Any]], limit: float, most: float, prior: float, probability: float) -> None:
    for row in rows:
        called = "the same identity" if row["same"] else "different identities"
        print(f"{shown(' and '.join(row['images']))}: {called} (probability {percent(row['probability'])}%, distance {row['distance']:.4g})")
    none = f"no distance (the most that one has is {percent(most)}%)"
    distances = f"a distance of up to {limit:.4g}" if math.isfinite(limit) else "any distance" if limit > 0 else none
    print(f"Called the same from a probability of {probability:g} on, which is {distances}, where {prior:.4g} of all pairs are genuine (--prior).")
    print("A near embedding is a hint and no proof of identity.")
