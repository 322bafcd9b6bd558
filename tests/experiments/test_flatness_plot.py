from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.experiments.flatness_plot import plot
from reid_srdl.experiments.flatness_profiles import Curves, Profile, Settings


def profile(*losses: list[float], accuracy: float = np.nan) -> Profile:
    return Profile(np.arange(float(len(losses[0]))), np.array(losses), np.full((len(losses), len(losses[0])), accuracy))


def texts(svg: Path) -> set[str]:
    return {"".join(element.itertext()) for element in ElementTree.parse(svg).iter() if element.tag.endswith("text")}


def test_the_picture_names_every_network_and_draws_what_is_finite(tmp_path):
    both = {name: {split: profile([1.0, 2.0, np.inf], [1.5, 1.6, np.nan], accuracy=0.5) for split in ("train", "test")} for name in ("vanilla", "srdl")}
    curves = Curves(Settings(directions=2, points=3), both, {"train": 24, "test": 20})
    for ending in ("svg", "png"):
        plot(curves, tmp_path / f"flat.{ending}")
    written = (tmp_path / "flat.svg").read_bytes()
    assert {f"{name}, {split}" for name in both for split in ("train", "test")} | {"loss", "accuracy"} <= texts(tmp_path / "flat.svg")
    plot(curves, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == written
    with pytest.raises(UserError, match="ending"):
        plot(curves, tmp_path / "flat.xyz")


def test_losses_far_above_guessing_are_drawn_on_a_log_axis(tmp_path):
    plot(Curves(Settings(directions=1), {"a": {"train": profile([0.5, 1.0, 1e4])}}, {"train": 1}), tmp_path / "flat.svg")
    assert {"1", "10", "100", "1000", "10000", "loss"} <= texts(tmp_path / "flat.svg")
    assert "accuracy" not in texts(tmp_path / "flat.svg")
