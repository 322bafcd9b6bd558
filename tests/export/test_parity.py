"""The check sees what it must see."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.export import parity

OURS = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


def test_differences_and_cosines_are_by_the_formula():
    theirs = OURS.copy()
    theirs[3] = [*-OURS[3, :4], *OURS[3, 4:]]
    found = parity.compare(OURS, theirs)
    cosine = (OURS[3, 4:] ** 2).sum() / (OURS[3] ** 2).sum() - (OURS[3, :4] ** 2).sum() / (OURS[3] ** 2).sum()
    assert found.cosine_lowest == pytest.approx(cosine) and found.cosine_mean == pytest.approx((4 + cosine) / 5)
    assert found.difference == pytest.approx(2 * np.abs(OURS[3, :4]).max()) and found.images == 5 and found.largest == np.abs(OURS).max()


def test_a_network_of_another_scale_fails_in_fp32_only():
    found = parity.compare(OURS, 1.01 * OURS)
    assert found.cosine_lowest == pytest.approx(1)
    with pytest.raises(UserError, match="largest difference in parts of the largest number is 0.01, above the tolerance 0.0001"):
        parity.check(found, "fp32")
    assert parity.check(found, "int8") == parity.TOLERANCE["int8"]
    assert parity.check(found, "fp32", 0.02) == 0.02


def test_one_wrong_image_of_many_fails_rounded_files():
    theirs = OURS.copy()
    theirs[2] *= -1
    with pytest.raises(UserError, match="lowest cosine is 2, above the tolerance"):
        parity.check(parity.compare(OURS, theirs), "int8")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_nan_is_no_success_and_zeros_are_alike(precision):
    theirs = OURS.copy()
    theirs[1, 1] = np.nan
    with pytest.raises(UserError, match="nan"):
        parity.check(parity.compare(OURS, theirs), precision)
    blank = np.zeros((2, 4), np.float32)
    parity.check(parity.compare(blank, blank), precision)
    with pytest.raises(UserError):
        parity.check(parity.compare(blank, blank + 1), precision)
