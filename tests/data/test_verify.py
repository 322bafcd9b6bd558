"""The published matches of Market-1501's layout against the computed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reid_srdl.data.records import ReIDData, Split
from reid_srdl.data.verify import verify
from reid_srdl.errors import UserError

QUERIES = [("0001_c1s1_000010_00.jpg", 1, 1), ("0001_c2s1_000010_00.jpg.jpg", 1, 2), ("0002_c1s1_000010_00.jpg", 2, 1)]
# Sorted by name, counted from 1: junk, a distractor, then the people.
GALLERY = [
    ("-1_c1s1_000001_01.jpg", -1, 1),
    ("0000_c1s1_000001_01.jpg", 0, 1),
    ("0001_c1s1_000002_01.jpg", 1, 1),
    ("0001_c2s1_000003_01.jpg", 1, 2),
    ("0001_c3s1_000003_01.jpg", 1, 3),
    ("0002_c2s1_000004_01.jpg", 2, 2),
]
GOOD = ([4, 5], [3, 5], [6])
JUNK = ([3], [4], [0])


def rows(name: str, root: Path, listed: list[tuple[str, int, int]]) -> Split:
    return Split(
        name,
        root,
        tuple(f"{name}/{row[0]}" for row in listed),
        np.array([row[1] for row in listed]),
        np.array([row[2] for row in listed]),
    )


@pytest.fixture
def data(tmp_path: Path) -> ReIDData:
    (tmp_path / "gt_query").mkdir()
    for (name, _, _), good, junk in zip(QUERIES, GOOD, JUNK, strict=True):
        write(tmp_path, name, "good", good)
        write(tmp_path, name, "junk", junk)
    query, gallery = rows("query", tmp_path, QUERIES), rows("gallery", tmp_path, GALLERY)
    return ReIDData("own", rows("train", tmp_path, []), query, gallery)


def write(root: Path, name: str, kind: str, index: list[int]) -> None:
    scipy.io.savemat(
        root / "gt_query" / f"{name.partition('.')[0]}_{kind}.mat",
        {f"{kind}_index": np.array([index], dtype=np.uint16)},
    )


def test_the_published_matches_are_the_computed_ones(data: ReIDData):
    found = verify(data)
    assert found.agrees
    assert (found.queries, found.good, found.computed, found.ignored) == (3, 5, 5, 2)


def test_an_empty_list_is_empty(data: ReIDData):
    write(data.query.root, QUERIES[2][0], "junk", [])
    assert verify(data).agrees


@pytest.mark.parametrize(
    ("kind", "index", "words"),
    [
        ("good", [4], "matches: 0 only in the files, 1 only computed"),
        ("good", [2, 4, 5], "matches: 1 only in the files, 0 only computed"),
        ("junk", [1, 3], "same-camera images: 1 only in the files, 0 only computed"),
    ],
)
def test_a_difference_is_found(data: ReIDData, kind: str, index: list[int], words: str):
    write(data.query.root, QUERIES[0][0], kind, index)
    found = verify(data)
    assert not found.agrees
    assert found.differing == (f"query/{QUERIES[0][0]}: {words}",)


def test_missing_files_are_told(data: ReIDData):
    (data.query.root / "gt_query/0002_c1s1_000010_00_good.mat").unlink()
    found = verify(data)
    assert found.missing == ("query/0002_c1s1_000010_00.jpg",)
    assert not found.agrees
    assert found.queries == 2


def test_a_gallery_that_is_not_whole_is_said(data: ReIDData):
    write(data.query.root, QUERIES[0][0], "good", [4, 19_000])
    with pytest.raises(UserError, match="gallery image 19,000 of a gallery of 6.*whole data set"):
        verify(data)


def test_a_broken_file_is_named(data: ReIDData):
    (data.query.root / "gt_query/0002_c1s1_000010_00_good.mat").write_bytes(b"")
    with pytest.raises(UserError, match="0002_c1s1_000010_00_good.mat is not a readable .mat"):
        verify(data)


def test_nothing_to_verify_against(data: ReIDData, tmp_path: Path):
    other = ReIDData("own", data.train, rows("query", tmp_path / "none", QUERIES), data.gallery)
    with pytest.raises(UserError, match="no folder .*gt_query"):
        verify(other)
