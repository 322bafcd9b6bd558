"""When two images are called the same: the numbers are those of the calibration, at the prior that is asked for."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.evaluation.comparison import Comparison

KNOWN = Calibration("abc", "euclidean", False, np.array([0.0, 4.0, 16.0]), np.array([2.0, 0.0, -6.0]), 0.5, {})
ONE = np.zeros(2, np.float32)


def test_a_pair_is_the_same_up_to_the_distance_of_the_probability():
    how = Comparison.by(KNOWN)
    assert how.of(ONE, np.array([2.0, 0.0])) == {"distance": 4.0, "probability": 0.5, "same": True}
    assert not how.of(ONE, np.array([2.01, 0.0]))["same"]
    assert how.facts() == {"threshold": 4.0, "most": pytest.approx(1 / (1 + math.exp(-2))), "metric": "euclidean", "prior": 0.5}


def test_a_rarer_genuine_pair_has_to_be_nearer():
    rare = Comparison.by(KNOWN, 0.5, 1 / (1 + math.e))  # even odds are one less in log odds
    assert rare.limit == pytest.approx(2.0) and rare.of(ONE, np.array([2.0, 0.0])) == {"distance": 4.0, "probability": pytest.approx(1 / (1 + math.e)), "same": False}


@pytest.mark.parametrize(("probability", "same"), [(0.999999, False), (1e-6, True)])
def test_a_limit_that_is_no_distance_is_null_in_json(probability, same):
    how = Comparison.by(KNOWN, probability)
    assert json.loads(json.dumps(how.facts(), allow_nan=False))["threshold"] is None and how.of(ONE, ONE)["same"] is same


@pytest.mark.parametrize("choice", [{"probability": 2}, {"prior": 0.0}])
def test_what_is_no_probability_is_refused_at_once(choice):
    with pytest.raises(UserError, match="a probability of"):
        Comparison.by(KNOWN, **choice)
