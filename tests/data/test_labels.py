"""Labels from words, and splits from rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import labels, listing
from reid_srdl.errors import UserError


def test_numbers_stay_what_they_are():
    found, names = labels.numbered(["0007", "12", "0", "-1", "12"])
    assert found.tolist() == [7, 12, 0, -1, 12]
    assert names is None


def test_words_are_numbered_from_one_in_natural_order():
    found, names = labels.numbered(["p10", "p2", "anna", "p10", "0", "-1"])
    assert names == ("anna", "p2", "p10")
    assert found.tolist() == [3, 2, 1, 3, 0, -1]


def test_the_two_forms_of_an_accented_letter_are_one_person():
    composed, apart = "jos\u00e9", "jose\u0301"  # Windows and Linux, and macOS
    found, names = labels.numbered([composed, apart, "anna"])
    assert found.tolist() == [2, 2, 1] and names == ("anna", composed)


def test_numbers_among_words_are_words():
    found, names = labels.numbered(["7", "anna"])
    assert [names[label - 1] for label in found] == ["7", "anna"]


@pytest.mark.parametrize(
    ("words", "message"), [(["1", "01"], "01 and 1 are the same number"), (["-2", "a"], "-2 is negative"), (["20240101123456789012", "2"], "is too large")]
)
def test_labels_that_cannot_be_numbered(words: list[str], message: str):
    with pytest.raises(UserError, match=message):
        labels.numbered(words)


def test_a_digit_that_is_no_number_is_a_letter():
    assert labels.numbered(["1²", "1", "p"])[1] == ("1", "1²", "p")


def test_a_split_is_in_order_of_its_paths_and_never_empty(tmp_path: Path):
    made = labels.split_of("query", tmp_path, [("b.jpg", 2, 1), ("a.jpg", 5, 3)], "")
    assert made.paths == ("a.jpg", "b.jpg")
    assert made.labels.tolist() == [5, 2]
    assert made.cameras.tolist() == [3, 1]
    with pytest.raises(UserError, match="the camera 9223372036854775808 is too large a number"):
        labels.split_of("query", tmp_path, [("a.jpg", 1, 1 << 63)], "")
    with pytest.raises(UserError, match="split query is empty: no image in x"):
        labels.split_of("query", tmp_path, [], "no image in x")


def test_a_number_that_nothing_can_hold_is_named():
    for word in ("9" * 30, "9" * 5000):
        with pytest.raises(UserError, match="too large a number"):
            labels.numbered([word, "1"])
    assert listing.natural_key("a" + "9" * 5000)
