"""The data doctor on people: what each finding is made of, and what stops."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from reid_srdl.data import doctor
from reid_srdl.data.doctor import ClassCounts
from reid_srdl.data.finding import Finding
from reid_srdl.data.image_folder import read_image_folder
from reid_srdl.data.records import ClassData, ReIDData, Split

Rows = list[tuple[int, int]]
"""(label, camera) of each image."""

TRAIN: Rows = [(1, 1), (1, 2), (2, 1), (2, 2)]
QUERY: Rows = [(7, 1), (8, 2)]
GALLERY: Rows = [(7, 2), (7, 3), (8, 1), (-1, 1)]


def split(name: str, rows: Rows, names: tuple[str, ...] | None = None) -> Split:
    paths = tuple(f"{name}/{number}" for number in range(len(rows)))
    return Split(name, Path("."), paths, np.array([row[0] for row in rows]), np.array([row[1] for row in rows]), names)


def data(
    train: Rows = TRAIN, query: Rows = QUERY, gallery: Rows = GALLERY, multi_query: Rows | None = None, names=None
) -> ReIDData:
    multi = None if multi_query is None else split("multi_query", multi_query, names)
    return ReIDData(
        "own", split("train", train, names), split("query", query, names), split("gallery", gallery, names), multi
    )


def findings(found: ReIDData, severity: str, same_camera: bool = False) -> list[Finding]:
    return [
        finding for finding in doctor.people_findings(found, same_camera=same_camera) if finding.severity == severity
    ]


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_a_sound_set_has_notes_only():
    assert findings(data(), "stop") == findings(data(), "warn") == []
    notes = " / ".join(finding.what for finding in findings(data(), "note"))
    assert "every query has a valid match (3 matches in all, 1 at least)" in notes
    assert "1 gallery image is junk" in notes


def test_people_in_train_and_test_stop():
    names = tuple(f"person {number}" for number in range(1, 9))
    finding = only(findings(data(train=[*TRAIN, (7, 1)], names=names), "stop"))
    assert "1 person is in train and in query or gallery (person 7)" in finding.what
    assert finding.do


def test_some_queries_without_a_match_are_worth_a_look():
    finding = only(findings(data(query=[*QUERY, (8, 1), (9, 1)]), "warn"))
    assert "2 of 4 queries have no valid match" in finding.what
    assert "--ignore_camera" in finding.what
    assert finding.images == ("query/2", "query/3")


def test_one_camera_stops_and_ignore_camera_lets_it_score():
    found = data([(1, 0), (2, 0)], [(7, 0)], [(7, 0), (7, 0)])
    stop = only(findings(found, "stop"))
    assert "1 of 1 queries have no valid match" in stop.what
    assert "--ignore_camera" in stop.what
    assert any("all images are of one camera (0)" in finding.what for finding in findings(found, "warn"))
    assert findings(found, "stop", same_camera=True) == []


def test_queries_that_are_nobody():
    found = findings(data(query=[*QUERY, (0, 1)]), "warn")
    assert any("1 query image has the label 0 or -1" in finding.what for finding in found)


def test_people_with_one_image_or_one_camera():
    few = only([finding for finding in findings(data(train=[*TRAIN, (3, 1)]), "warn")])
    assert "1 training person has one image only (3)" in few.what
    one_camera = only(findings(data(train=[*TRAIN, (3, 1), (3, 1)]), "warn"))
    assert "1 training person is seen by one camera only (3)" in one_camera.what
    many = [(label, camera) for label in range(10, 30) for camera in (1, 2)]
    assert findings(data(train=[*many, (3, 1)]), "warn") == []


def test_queries_without_multi_query_images():
    assert findings(data(multi_query=[(7, 1), (8, 2)]), "warn") == []
    finding = only(findings(data(multi_query=[(7, 1), (8, 1)]), "warn"))
    assert "1 query has no multi-query image" in finding.what


def test_distractors_and_people_nobody_asks_for_are_told():
    notes = [finding.what for finding in findings(data(gallery=[*GALLERY, (0, 1), (9, 1), (9, 2)]), "note")]
    assert any("1 distractor (label 0) and 2 images of 1 person that no query asks for" in note for note in notes)


def test_a_whole_set_on_disk(people: ReIDData):
    diagnosis, seen = doctor.examine(people)
    assert not diagnosis.stops
    assert [(row.name, row.images, row.identities, row.cameras) for row in diagnosis.counts] == [
        ("train", 54, 6, 3),
        ("query", 12, 4, 3),
        ("gallery", 24, 4, 3),
    ]
    assert len(seen.groups) == 90


def test_findings_come_with_the_worst_first_and_labels_are_looked_at(people: ReIDData):
    wrong = dataclasses.replace(people.train, labels=np.where(people.train.labels == 1, 0, people.train.labels))
    diagnosis, _ = doctor.examine(dataclasses.replace(people, train=wrong))
    assert diagnosis.stops
    assert diagnosis.findings[0].what.startswith("9 training images have the label 0 or -1")
    severities = [finding.severity for finding in diagnosis.findings]
    assert severities == sorted(severities, key=["stop", "warn", "note"].index)


def test_a_classification_set_on_disk(tmp_path: Path):
    """Class 0 is a class, not distractors; pictures that are wider than tall are as they should be."""
    rng = np.random.default_rng(0)
    for name in ("train/cat/1", "train/cat/2", "train/dog/1", "train/dog/2", "test/cat/1", "test/dog/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (24, 40, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    classes = read_image_folder(tmp_path)
    diagnosis, _ = doctor.examine(classes)
    assert diagnosis.counts == (ClassCounts("train", 4, 2), ClassCounts("test", 2, 2))
    assert [finding.severity for finding in diagnosis.findings] == ["note", "note"]

    shutil.copy(tmp_path / "train/cat/1.png", tmp_path / "train/cat/3.png")
    shutil.copy(tmp_path / "train/cat/1.png", tmp_path / "train/dog/3.png")
    shutil.copy(tmp_path / "train/dog/2.png", tmp_path / "test/dog/2.png")
    (tmp_path / "test/cat/2.png").write_bytes(b"")
    diagnosis, seen = doctor.examine(read_image_folder(tmp_path))
    words = " / ".join(finding.what for finding in diagnosis.findings)
    assert diagnosis.stops and len(seen.errors) == 1
    for expected in (
        "1 image cannot be read", "1 test image is pixel for pixel in train as well", "1 image in train repeats another of the same label",
        "1 picture stands under several labels (train/cat/1.png = train/cat/3.png = train/dog/3.png)",
    ):  # fmt: skip
        assert expected in words


def test_the_doctor_names_classes_by_their_words(people: ReIDData):
    train = split("train", [(0, 0), (1, 0)])
    first = doctor.splits_of(ClassData("own", train, None, train, ("cat", "dog")))[0]
    assert first.identities.tolist() == [1, 2] and first.label_names == ("cat", "dog")
    assert doctor.splits_of(people)[0] is people.train


def test_training_people_of_one_camera_are_told_where_the_test_has_several():
    (finding,) = findings(data(train=[(1, 1), (1, 1), (2, 1), (2, 1)]), "warn")
    assert "2 training people are seen by one camera only (1, 2)" in finding.what
