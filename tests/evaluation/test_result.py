"""Scores from ranks, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reid_srdl.evaluation import RankResult


def result(*ranks: list[int]) -> RankResult:
    starts = np.concatenate([[0], np.cumsum([len(row) for row in ranks])]).astype(np.int64)
    return RankResult.of(starts, np.array([rank for row in ranks for rank in row], dtype=np.int64))


def official_ap(ranks: list[int]) -> float:
    """The loop of Market-1501's compute_AP, on a list with junk removed."""
    ap, old_recall, old_precision, found = 0.0, 0.0, 1.0, 0
    for place in range(1, max(ranks) + 1):
        found += place in ranks
        recall, precision = found / len(ranks), found / place
        ap += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return ap


def test_a_known_list():
    # Matches at ranks 1, 3 and 6. Precisions 1/1, 2/3, 3/6: AP = (1 + 2/3 + 1/2) / 3 = 13/18.
    # Trapezoid: precision one place above is 1 (by rule), 1/2, 2/5: (1 + (1/2 + 2/3)/2 + (2/5 + 1/2)/2) / 3 = 61/90.
    # INP: 3 matches, the last at 6.
    one = result([6, 1, 3])
    assert one.ranks_of(0).tolist() == [1, 3, 6]
    assert one.mAP == pytest.approx(13 / 18)
    assert one.mAP_trapezoid == pytest.approx(61 / 90)
    assert one.mINP == pytest.approx(0.5)
    assert one.first.tolist() == [1]


def test_a_single_match_in_second_place_differs_between_the_rules():
    # Mean precision 1/2; trapezoid (0/1 + 1/2) / 2 = 1/4.
    assert (result([2]).mAP, result([2]).mAP_trapezoid) == (0.5, 0.25)


@pytest.mark.parametrize("seed", range(5))
def test_the_trapezoid_rule_is_the_official_loop(seed):
    ranks = (np.random.default_rng(seed).permutation(60)[: seed * 4 + 1] + 1).tolist()
    assert result(ranks).mAP_trapezoid == pytest.approx(official_ap(ranks))


def test_queries_without_a_match_are_nan_and_no_part_of_the_means():
    two = result([], [2], [], [1, 2])
    assert two.unmatched == 2 and len(two) == 4
    assert np.isnan(two.ap).tolist() == np.isnan(two.first).tolist() == np.isnan(two.inp).tolist() == [True, False, True, False]
    assert two.mAP == pytest.approx((0.5 + 1) / 2) and two.rank1 == 0.5 and two.mINP == pytest.approx((0.5 + 1) / 2)


def test_cmc_counts_first_matches():
    # First matches at 1, 5, 6, 21.
    four = result([1, 9], [5], [6, 7], [30, 21])
    assert (four.rank1, four.rank5, four.rank10, four.rank20) == (0.25, 0.5, 0.75, 0.75)
    assert four.cmc(6).tolist() == [0.25, 0.25, 0.25, 0.25, 0.5, 0.75]
    assert four.cmc(21)[-1] == 1


def test_no_matches_at_all():
    nothing = result([], [])
    assert all(math.isnan(score) for score in nothing.scores().values())
    assert list(nothing.scores()) == ["rank1", "rank5", "rank10", "rank20", "mAP", "mAP_trapezoid", "mINP"]
