"""Distances of genuine and impostor pairs: the figures are those of the calibration, and where there is none the page says how it is made."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import calibration
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.evaluation.verification import facts_of, pairs_of
from reid_srdl.report import verification

RUN = Path("runs/a b")


@pytest.fixture(scope="module")
def found() -> Calibration:
    """20 people on a line, some of them near each other."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, 21), 6)
    images = Embeddings(3 * rng.normal(size=(21, 2))[labels] + rng.normal(size=(120, 2)), labels=labels, cameras=np.tile([1, 2, 3], 40))
    pairs = pairs_of(images)
    made = calibration.fit(pairs, model="f" * 64, metric="euclidean", flip=False)
    made.facts.update(facts_of(pairs, draws=20), dataset="people", split="val", flip=False, across_cameras=True)
    return made


def test_figures_are_those_of_the_calibration(found):
    html = verification.verification_section(RUN, False, found, "f" * 64)
    facts = found.facts
    assert f"{100 * facts['eer']:.1f}<small> %</small><small> ({100 * facts['eer_low']:.1f} to {100 * facts['eer_high']:.1f})</small>" in html
    assert f"{100 * facts['tpr_at_fpr']['0.1']['tpr']:.1f}<small> %" in html and "TPR at FPR 10 %" in html
    assert facts["tpr_at_fpr"]["0.0001"] is None and "too few pairs" in html
    assert f"{facts['pairs']['genuine']:,} pairs of images" in html and "held out from training" in html and "20 people" in html
    assert html.count("<svg") == 2 and "other weights" not in html
    hardest = max(facts["camera_pairs"], key=lambda pair: pair["eer"])
    assert re.search(r'<th scope="row">(\d and \d)</th>', html).group(1) == f"{hardest['cameras'][0]} and {hardest['cameras'][1]}"


def test_without_one_the_page_says_how_it_is_made():
    assert "calibrate 'runs/a b'" in unescape(verification.verification_section(RUN, False, None))
    assert verification.verification_section(RUN, True, None) == ""


def test_other_weights_are_said(found):
    html = unescape(verification.verification_section(RUN, False, found, "e" * 64))
    assert "other weights" in html and "calibrate 'runs/a b'" in html


def paths(svg: bytes, line: str) -> list[np.ndarray]:
    drawn = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none;[^"]*stroke: var\(--{line},', svg.decode())
    return [np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), dtype=float) for path in drawn]


def test_each_kind_of_pair_sums_to_one_whatever_its_number():
    svg = verification.distances({"edges": [0, 1, 2, 3], "genuine": [3, 1, 0], "impostor": [0, 1000, 3000]}, threshold=1.5)
    same, others = (max(paths(svg, line), key=len) for line in ("line1", "line2"))
    ground = same[:, 1].max()  # SVG counts downwards
    heights = [ground - points[:, 1].min() for points in (same, others)]
    assert heights[0] == pytest.approx(heights[1])  # 3 of 4 in the highest bin of each
    assert "the same person" in svg.decode() and "different people" in svg.decode()


def test_the_roc_begins_where_impostors_do():
    svg = verification.roc({"fpr": [0.0, 0.001, 0.1, 1.0], "tpr": [0.2, 0.5, 0.9, 1.0]}, eer=0.1)
    curve = max(paths(svg, "line1"), key=len)
    assert len(curve) == 3 and (np.diff(curve[:, 0]) > 0).all() and (np.diff(curve[:, 1]) < 0).all()
    assert curve[1, 0] - curve[0, 0] == pytest.approx(2 * (curve[2, 0] - curve[1, 0]), rel=1e-3)  # two decades, then one


def test_the_dot_of_the_roc_is_where_both_errors_are_equal(monkeypatch):
    made, figure = [], verification.drawing.figure
    monkeypatch.setattr(verification.drawing, "figure", lambda: made.append(figure()) or made[-1])
    verification.roc({"fpr": [0.0, 0.1, 1.0], "tpr": [0.2, 0.9, 1.0]}, eer=0.1)
    np.testing.assert_allclose(made[0][1].lines[-1].get_xydata(), [[0.1, 0.9]])
