"""Equal pictures within and across splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_srdl.data.copies import copy_findings
from reid_srdl.data.finding import Finding
from reid_srdl.data.pixels import Scan
from reid_srdl.data.records import Split

Rows = list[tuple[int, int, int]]
"""(label, camera, picture) of each image."""


def found(
    train: Rows, query: Rows, gallery: Rows, *, multi_query: Rows = (), same_camera: bool = False
) -> list[Finding]:
    splits, groups = [], []
    for name, rows in (("train", train), ("query", query), ("gallery", gallery), ("multi_query", multi_query)):
        labels, cameras = [row[0] for row in rows], [row[1] for row in rows]
        splits.append(
            Split(
                name,
                Path("."),
                tuple(f"{name}/{number}" for number in range(len(rows))),
                np.array(labels),
                np.array(cameras),
            )
        )
        groups += [row[2] for row in rows]
    return copy_findings(splits, Scan(np.ones((len(groups), 2)), np.array(groups), {}), same_camera=same_camera)


def one(findings: list[Finding]) -> tuple[str, str, tuple[str, ...]]:
    (finding,) = findings
    return finding.severity, finding.what, finding.images


TRAIN: Rows = [(1, 1, 0), (2, 1, 1)]


def test_pictures_of_their_own_are_no_finding():
    assert found(TRAIN, [(5, 1, 2)], [(5, 2, 3)]) == []


def test_unreadable_images_are_no_copies():
    assert found([(1, 1, -1), (2, 1, -1)], [(5, 1, -1)], [(5, 2, -1)]) == []


def test_test_images_in_train_stop():
    severity, what, images = one(found(TRAIN, [(1, 1, 0)], [(5, 2, 3)]))
    assert severity == "stop"
    assert "1 test image is pixel for pixel in train as well (50.00% of the test images)" in what
    assert images == ("train/0", "query/0")


def test_a_handful_in_thousands_is_worth_a_look():
    severity, what, _ = one(found(TRAIN, [(1, 1, 0)], [(5, 2, 10 + row) for row in range(999)]))
    assert severity == "warn"
    assert "0.10%" in what


def test_a_query_in_the_gallery_under_its_own_camera_is_ignored_by_the_protocol():
    severity, what, images = one(found(TRAIN, [(5, 1, 2)], [(5, 1, 2), (5, 2, 3)]))
    assert severity == "note"
    assert "under the same camera" in what
    assert images == ("query/0",)


@pytest.mark.parametrize(("camera", "same_camera"), [(2, False), (1, True)])
def test_a_query_that_finds_itself_stops(camera: int, same_camera: bool):
    severity, what, _ = one(found(TRAIN, [(5, 1, 2)], [(5, camera, 2)], same_camera=same_camera))
    assert severity == "stop"
    assert "finds itself" in what


def test_one_picture_of_two_people_is_worth_a_look():
    severity, what, images = one(found([(1, 1, 0), (2, 1, 0)], [(5, 1, 2)], [(5, 2, 3)]))
    assert severity == "warn"
    assert "1 picture stands under several labels (train/0 = train/1)" in what
    assert images == ("train/0", "train/1")


def test_repeats_within_a_split_are_counted_once_less():
    severity, what, images = one(found([(1, 1, 0), (1, 1, 0), (1, 2, 0), (2, 1, 1)], [(5, 1, 2)], [(5, 2, 3)]))
    assert severity == "warn"
    assert "2 images in train repeat another" in what
    assert images == ("train/1", "train/2")


def test_queries_among_their_own_multi_query_images_are_as_they_should_be():
    assert found(TRAIN, [(5, 1, 2)], [(5, 2, 3)], multi_query=[(5, 1, 2)]) == []


def test_a_query_that_lies_in_the_gallery_as_another_person_does_not_find_itself():
    severity, what, _ = one(found(TRAIN, [(5, 1, 2)], [(6, 2, 2), (5, 2, 3)]))
    assert severity == "warn" and "several labels" in what


def test_a_query_that_is_nobody_does_not_find_itself():
    assert found(TRAIN, [(0, 1, 2)], [(0, 2, 2)]) == []
