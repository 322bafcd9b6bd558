"""The words of the data doctor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid_srdl.data import finding
from reid_srdl.data.records import Split


def test_people_are_named_in_the_users_words():
    split = Split("train", Path("."), ("a", "b"), np.array([1, 2]), np.zeros(2), ("anna", "bert"))
    assert finding.label_words(split, np.array([2])) == "bert"
    numbers = Split("train", Path("."), ("a",), np.array([1]), np.zeros(1))
    assert finding.label_words(numbers, np.array([4, 5, 6, 7])) == "4, 5, 6, …"


def test_one_is_no_plural():
    assert finding.number(1, "image is", "images are") == "1 image is"
    assert finding.number(1200, "image is", "images are") == "1,200 images are"


def test_more_than_a_tenth_is_worth_a_look():
    assert finding.by_share(10, 100) == "note"
    assert finding.by_share(11, 100) == "warn"
