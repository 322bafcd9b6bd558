"""What rounding costs: mAP, by which the network and its file are compared on one test split."""

from __future__ import annotations

from collections.abc import Callable

from ..data.records import ReIDData
from ..evaluation.protocol import Rules, evaluate
from ..evaluation.scored import Track
from ..evaluation.tiles import Metric
from ..runs import Trained


def mean_average_precision(network: Trained, data: ReIDData, *, metric: Metric = "euclidean", tracks: Callable[[str], Track] = lambda title: iter) -> float:
    """mAP on the test split with single queries, as a fraction.

    Raises:
        UserError: no query has a match.
    """
    return evaluate(network, data, query="single", rules=Rules(metric=metric), tracks=tracks).results["single"].mAP
