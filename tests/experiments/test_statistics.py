import math

import numpy as np
import pytest
from scipy import stats

from reid_srdl.experiments.statistics import paired, summary


def test_summary():
    one = summary([1.0, 2.0, 4.0])
    assert (one.n, one.mean) == (3, pytest.approx(7 / 3)) and one.sd == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert math.isnan(summary([1.0]).sd)


def test_paired_difference_against_scipy():
    one, other = [0.71, 0.69, 0.74, 0.70], [0.68, 0.69, 0.70, 0.66]
    ours = paired(one, other)
    low, high = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (ours.low, ours.high) == (pytest.approx(low), pytest.approx(high))
    assert ours.mean == pytest.approx(0.0275) and ours.n == 4


def test_one_pair_has_no_interval():
    assert math.isnan(paired([1.0], [0.5]).low)
