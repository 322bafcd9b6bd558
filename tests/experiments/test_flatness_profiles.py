import csv

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments.flatness_profiles import Curves, Profile, Settings, write_csv


def profile(*losses: list[float]) -> Profile:
    return Profile(np.arange(float(len(losses[0]))), np.array(losses), np.full((len(losses), len(losses[0])), np.nan))


@pytest.mark.parametrize("wrong", [{"directions": 0}, {"points": 1}, {"farthest": 0.0}, {"scale": "layer"}, {"statistics": "old"}])
def test_settings_that_make_no_curve_are_refused(wrong):
    with pytest.raises(UserError):
        Settings(**wrong)


def test_reach_is_where_the_mean_has_risen_by_one():
    assert profile([0.5, 0.5, 2.5], [0.5, 0.5, 2.5]).reach() == pytest.approx(1.5)
    assert profile([0.0, 1.0, 4.0], [0.0, 0.0, 2.0]).reach() == pytest.approx(1.2)
    assert profile([0.0, 0.5, 0.9]).reach() == np.inf
    assert profile([0.0, 0.5, np.inf]).reach() == profile([0.0, 0.5, np.nan]).reach() == 2


def test_csv_has_mean_spread_and_every_direction(tmp_path):
    curves = Curves(Settings(directions=2, seed=3), {"a": {"train": profile([1, 2, 3], [1, 4, 7])}, "b": {"train": profile([1, 1, 1], [1, 1, np.inf])}}, {"train": 9})
    write_csv(curves, tmp_path / "curves.csv")
    with open(tmp_path / "curves.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["network"], row["split"], float(row["distance"])) for row in rows] == [(name, "train", d) for name in "ab" for d in (0, 1, 2)]
    last = {key: float(rows[2][key]) for key in ("loss", "loss_sd", "loss_min", "loss_max", "loss_1", "loss_2", "seed", "images")}
    assert last == pytest.approx({"loss": 5, "loss_sd": 8**0.5, "loss_min": 3, "loss_max": 7, "loss_1": 3, "loss_2": 7, "seed": 3, "images": 9})
    assert rows[5]["loss"] == "inf" and rows[5]["accuracy"] == "nan"
    assert [(row["network"], row["loss"], row["rise"]) for row in curves.summary()] == [("a", 1, 2), ("b", 1, 0)]
