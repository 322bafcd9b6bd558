"""The lists of VeRi-776; those of Market-1501 are tried in test_verify.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_srdl.data.records import ReIDData, Split
from reid_srdl.data.verify import verify
from reid_srdl.errors import UserError

QUERIES = [("0002_c002_00000600_0.jpg", 2, 2), ("0005_c011_00000635_0.jpg", 5, 11)]
# In the order of name_test.txt, which is not that of the names here.
GALLERY = [
    ("0005_c011_00000635_0.jpg", 5, 11),
    ("0002_c002_00000600_0.jpg", 2, 2),
    ("0002_c003_00000280_0.jpg", 2, 3),
    ("0002_c002_00000605_1.jpg", 2, 2),
    ("0005_c020_00000640_0.jpg", 5, 20),
]


def split(name: str, folder: str, root: Path, listed: list[tuple[str, int, int]]) -> Split:
    listed = sorted(listed)
    return Split(name, root, tuple(f"{folder}/{row[0]}" for row in listed), np.array([row[1] for row in listed]), np.array([row[2] for row in listed]))


@pytest.fixture
def data(tmp_path: Path) -> ReIDData:
    for name, lines in {
        "name_query.txt": [row[0] for row in reversed(QUERIES)],
        "name_test.txt": [row[0] for row in GALLERY],
        "gt_index.txt": ["5", "3"],
        "jk_index.txt": ["1 ", "2 4"],
    }.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    parts = (("train", "image_train", []), ("query", "image_query", QUERIES), ("gallery", "image_test", GALLERY))
    return ReIDData("veri776", *(split(name, folder, tmp_path, listed) for name, folder, listed in parts))


def test_the_published_lists_are_the_computed_ones(data):
    found = verify(data)
    assert found.agrees and found.source == "gt_index.txt"
    assert (found.queries, found.good, found.computed, found.ignored) == (2, 2, 2, 3)


def test_a_difference_is_said(data, tmp_path):
    (tmp_path / "gt_index.txt").write_text("5 2\n3\n")
    assert verify(data).differing == ("image_query/0005_c011_00000635_0.jpg: matches: 1 only in the files, 0 only computed",)


def test_a_query_that_is_not_listed_is_missing(data, tmp_path):
    (tmp_path / "name_query.txt").write_text(QUERIES[1][0])
    assert verify(data).missing == ("image_query/0002_c002_00000600_0.jpg",)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gt_index.txt", "6\n3\n", r"gt_index\.txt names gallery image 6 of a gallery of 5"),
        ("jk_index.txt", "1\n", r"jk_index\.txt has 1 lines for 2 queries"),
        ("jk_index.txt", "1 x\n2\n", "no list of numbers"),
        ("name_test.txt", "0009_c001_00000001_0.jpg\n", "1 images that .* names are not there"),
    ],
)
def test_lists_that_are_of_other_images(data, tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        verify(data)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match="cannot read|to verify against"):
        verify(data)
