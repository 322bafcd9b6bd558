"""The data doctor on the labels of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid_srdl.data.class_findings import class_findings
from reid_srdl.data.finding import Finding
from reid_srdl.data.records import ClassData, Split

NAMES = ("cat", "cow", "dog")


def split(name: str, counts: list[int]) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Split(name, Path("."), tuple(f"{name}/{row:05}" for row in range(len(labels))), labels, np.zeros(len(labels)))


def found(train: list[int], test: list[int] = (1, 1, 1), val: list[int] | None = None) -> list[Finding]:
    return class_findings(ClassData("own", split("train", train), split("val", val) if val else None, split("test", test), NAMES))


def test_classes_and_their_images_are_told():
    (note,) = found([5, 5, 5])
    assert (note.severity, note.what) == ("note", "3 classes, with 5 images each to train on and 1 image each to test on")
    (note,) = found([5, 7, 6], [3, 2, 2], [1, 1, 2])
    assert note.what == "3 classes, with 5 to 7 images each to train on and 2 to 3 images each to test on, and 1 to 2 images each in val"


def test_a_class_of_one_image_is_named():
    finding = found([5, 1, 5])[1]
    assert finding.severity == "warn" and "1 class has one training image only (cow)" in finding.what


def test_uneven_classes_are_worth_a_look():
    assert len(found([20, 20, 2])) == 1
    finding = found([21, 20, 2])[1]
    assert finding.severity == "warn" and "cat has 21 training images, dog 2" in finding.what
