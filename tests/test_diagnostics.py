"""Soft targets in figures that were computed by hand."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from reid_srdl import diagnostics
from reid_srdl.diagnostics import BINS, SoftTargets, agreement, describe, reliability, verdict


def test_the_calibration_error_by_hand():
    # In bins of 1/15: (14/15, 1], (12/15, 13/15], and two in (9/15, 10/15] of which one is right.
    found = reliability(np.array([0.95, 0.85, 0.62, 0.64]), np.array([True, False, True, False]))
    assert found.ece == pytest.approx((0.05 + 0.85 + 2 * abs(0.63 - 0.5)) / 4)
    assert found.counts[[9, 12, 14]].tolist() == [2, 1, 1] and found.counts.sum() == 4
    assert found.accuracy[[9, 12, 14]].tolist() == [0.5, 0, 1] and np.isnan(found.confidence[0])


def test_a_confidence_on_a_border_is_in_the_lower_bin():
    edges = np.linspace(0, 1, BINS + 1)
    assert np.flatnonzero(reliability(edges[[3, BINS]], np.array([True, True])).counts).tolist() == [2, BINS - 1]
    assert reliability(np.array([0.0]), np.array([False])).counts[0] == 1


def pieces(logits, targets):
    return [(torch.tensor(logits), torch.tensor(targets))]


def test_figures_of_two_images_by_hand():
    """Two classes; logits 3 apart are 1 apart at T = 3."""
    found = describe(pieces([[3.0, 0.0], [0.0, 3.0]], [0, 0]), temperature=3)
    sure, soft = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-1))
    entropy = -soft * math.log(soft) - (1 - soft) * math.log(1 - soft)
    assert (found.images, found.classes, found.temperature) == (2, 2, 3)
    assert found.entropy == pytest.approx(entropy) and found.entropy_share == pytest.approx(entropy / math.log(2))
    assert found.agreement == 0.5 and found.label == pytest.approx(0.5) and found.label_softened == pytest.approx(0.5)
    assert found.ece == pytest.approx(sure - 0.5)
    assert found.label_counts[0] == found.label_counts[-1] == 1 and sum(found.label_counts) == sum(found.entropy_counts) == 2


def test_the_extremes():
    even = describe(pieces(np.zeros((3, 8)), [0, 1, 2]), temperature=2)
    assert even.entropy == pytest.approx(math.log(8)) and even.entropy_share == pytest.approx(1) and even.entropy_counts[-1] == 3
    hot = describe(pieces(np.eye(4) * 90, [0, 1, 2, 3]), temperature=3)
    assert hot.entropy == pytest.approx(0, abs=1e-9) and hot.agreement == 1 and hot.label == pytest.approx(1) and hot.ece == pytest.approx(0)


def test_classes_that_were_left_out_are_no_trouble():
    """The lowest float16 stands for those that top-k leaves out."""
    found = describe(pieces([[0.0, -65504.0, -65504.0]], [0]), temperature=3)
    assert found.entropy == 0 and found.label_softened == 1


def test_pieces_come_to_the_same_as_the_whole():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(50, 7, generator=generator).half(), torch.randint(0, 7, (50,), generator=generator)
    whole = describe([(logits, targets)], 3)
    parts = describe(zip(logits.split(16), targets.split(16), strict=True), 3)
    assert dataclasses.astuple(whole)[3:9] == pytest.approx(dataclasses.astuple(parts)[3:9]) and whole.label_counts == parts.label_counts


def test_agreement_of_two_networks():
    one, other = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    found = agreement(one, other, temperature=2)
    soft = 1 / (1 + math.exp(-1))
    assert found.images == 2 and found.same == 0.5 and found.overlap == pytest.approx((1 + 2 * (1 - soft)) / 2)
    assert agreement(one, one + 5, 3).overlap == pytest.approx(1)


GOOD = describe(pieces([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]], [0, 1]), temperature=3)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "soft and mostly right"),
        ({"agreement": 0.5}, "premature: wrong about 50.0 %"),
        ({"entropy_share": 0.001}, "almost one-hot"),
        ({"entropy_share": 0.999}, "almost uniform"),
        ({"entropy_share": 0.001, "agreement": 0.1}, "premature"),
    ],
)
def test_what_the_figures_mean(changes, word):
    found = dataclasses.replace(GOOD, **changes)
    assert word in verdict(found) and verdict(found) in diagnostics.line(found)


def test_figures_survive_a_file():
    assert SoftTargets.of_json(json.loads(json.dumps(GOOD.as_json()))) == GOOD


def test_the_line_says_the_figures():
    line = diagnostics.line(dataclasses.replace(GOOD, entropy=1.234, entropy_share=0.5, agreement=0.971, label=0.83, label_softened=0.35, ece=0.032))
    for part in ("1.23 nats at T = 3", "50.0 %", "97.1 %", "0.83 at T = 1", "0.35 at T", "3.2 %"):
        assert part in line
    assert "\n" not in line
