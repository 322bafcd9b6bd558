import csv
import io
import math

import pytest

from reid_srdl.experiments import lines
from reid_srdl.experiments.study import Cell, Study, Tuning

STUDY = Study("s", "Title", "", "cifar100", {"vanilla": {}, "srdl": {}, "half": {}}, {"default": 3}, "vanilla", (), ensembles={"pair": ("half", "half+1000")})


def record(top1, best=None):
    return {
        "scores": {"top1": top1, "top5": 0.9}, "multi": None, "best": {"value": best, "epoch": 3} if best else None, "cross_entropy": 0.25,
        "macs": 10**12, "stages": [{"seconds": 60.0}, {"seconds": 30.0}],
    }  # fmt: skip


FOUND = {
    **{Cell("vanilla", seed, None, False): record(value, value + 0.01) for seed, value in enumerate((0.50, 0.52, 0.54))},
    **{Cell("srdl", seed, None, False): record(value) for seed, value in enumerate((0.53, 0.53))},
    Cell("half", 0, None, False): record(0.4), Cell("half", 1000, None, False): record(0.9),
}  # fmt: skip


def test_a_line_has_the_mean_the_spread_and_the_paired_difference():
    vanilla, srdl, half = lines.of(STUDY, FOUND)
    assert vanilla.summaries["top1"].mean == pytest.approx(0.52) and vanilla.summaries["top1"].sd == pytest.approx(0.02)
    assert vanilla.differences == {} and vanilla.best == pytest.approx((0.51, 0.53, 0.55))
    # Pairs of the seeds 0 and 1 alone: +0.03 and +0.01.
    assert srdl.differences["top1"].n == 2 and srdl.differences["top1"].mean == pytest.approx(0.02)
    assert srdl.differences["top1"].low == pytest.approx(0.02 - 12.706 * 0.01, abs=1e-4)
    assert (srdl.seconds, srdl.macs, srdl.best) == (90.0, 10**12, ())
    assert half.seeds == (0,), "the second member of an ensemble is no seed of its arm"
    assert math.isnan(half.differences["top1"].low)


def test_of_a_tuned_arm_only_runs_at_its_chosen_value_count():
    tuned = Study("s", "Title", "", "cifar100", {"vanilla": {}}, {"default": 2}, "vanilla", (), Tuning("optimiser.rate", (0.01, 0.02), 10))
    tries = {Cell("vanilla", 0, value, True): {"scores": {"mAP": score}} for value, score in ((0.01, 0.5), (0.02, 0.4), (0.005, 0.3))}
    found = {**tries, Cell("vanilla", 0, 0.01, False): record(0.6), Cell("vanilla", 0, 0.02, False): record(0.7), Cell("vanilla", 1, 0.01, False): record(0.5)}
    (line,) = lines.of(tuned, found)
    assert line.values["top1"] == (0.6, 0.5)
    assert not lines.of(tuned, {cell: one for cell, one in found.items() if cell.value != 0.02 or not cell.held_out}), "its value is not chosen yet"


def test_an_arm_without_a_finished_run_has_no_line():
    assert [line.arm for line in lines.of(STUDY, FOUND, ["pair", "srdl"])] == ["srdl"]


def test_csv_says_all_in_percent():
    rows = list(csv.DictReader(io.StringIO(lines.as_csv([("Title", lines.of(STUDY, FOUND), {"srdl": 71.63})]))))
    srdl = next(row for row in rows if row["arm"] == "srdl" and row["score"] == "top1")
    assert (srdl["mean"], srdl["seeds"], srdl["difference"], srdl["paper"], srdl["macs"]) == ("53.000", "53.000 53.000", "2.000", "71.63", "1000000000000")
    assert next(row for row in rows if row["arm"] == "half" and row["score"] == "top1")["low"] == ""


def test_seeds_that_serve_an_ensemble_too_are_seeds_of_their_arm():
    plan = Study("s", "T", "", "r", {"a": {}, "b": {}}, {"default": 6, "two": 3}, "a", (), ensembles={"two": ("a", "a+3"), "far": ("b", "b+6")})
    found = {Cell(arm, seed, None, False): record(0.5) for arm in "ab" for seed in range(13)}
    one, other = lines.of(plan, found)
    assert one.seeds == tuple(range(13)), "no seed of a is there for the ensemble alone"
    assert other.seeds == (0, 1, 2, 3, 4, 5, 12), "6 to 11 are"
