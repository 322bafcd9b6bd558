"""Data sets by name, and labels that nothing can be done with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import data
from reid_srdl.data.records import ClassData, ReIDData, Split
from reid_srdl.errors import UserError


def split(name: str, labels: list[int], names: tuple[str, ...] | None = None) -> Split:
    paths = tuple(f"{name}/{number:03}.jpg" for number in range(len(labels)))
    return Split(name, Path("."), paths, np.array(labels), np.zeros(len(labels)), names)


def reid(train: list[int], query: list[int], gallery: list[int], names: tuple[str, ...] | None = None) -> ReIDData:
    return ReIDData("own", split("train", train, names), split("query", query, names), split("gallery", gallery, names))


def test_an_unknown_data_set_is_answered_with_the_near_ones(tmp_path: Path):
    with pytest.raises(UserError, match="no data set 'market1051'.*market1501"):
        data.read("market1051", tmp_path)
    with pytest.raises(UserError, match="Known: market1501, .*csv"):
        data.read("zzz", tmp_path)


def test_every_reader_is_there():
    assert all(callable(data.reader(name)) for name in data.READERS)


def test_the_cache_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("REID_CACHE", str(tmp_path / "cache"))
    assert data.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("REID_CACHE")
    assert data.cache_folder() == Path.home() / ".cache" / "reid_srdl"


def test_a_single_class_is_no_person():
    one = ClassData("own", split("train", [0, 0]), None, split("test", [0]), ("cat",))
    assert data.label_problems(one)[0][0] == "train holds one class only"
    assert data.label_problems(dataclasses.replace(one, train=split("train", [0, 1]))) == []


def test_usable_labels_are_no_problem():
    assert data.label_problems(reid([1, 1, 2], [3], [3, 0, -1])) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (reid([1, 2, 0, -1], [3], [3]), "2 training images have the label 0 or -1"),
        (reid([1, 1], [3], [3]), "one person only"),
        (reid([1, 2], [3, 4], [5, 0]), r"no query person is in the gallery \(asked for: 3, 4; there: 5\)"),
        (reid([1, 2], [3], [1], ("anna", "bert", "carl")), "asked for: carl; there: anna"),
    ],
)
def test_labels_that_nothing_can_be_trained_or_scored_with(
    found: ReIDData, words: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(data, "reader", lambda name: lambda root: found)
    with pytest.raises(UserError, match=words):
        data.read("own", ".")


def test_without_a_home_the_cache_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REID_CACHE", raising=False)
    monkeypatch.setattr(data.files, "expanded", Path)  # as where nobody knows a home
    with pytest.raises(UserError, match="no home for a cache of data sets. Set REID_CACHE"):
        data.cache_folder()
