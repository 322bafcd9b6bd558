"""Several sets as one, of fabricated trees whose people, cameras and file names are the same words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_srdl import data
from reid_srdl.data import joined, label_problems, part_names, parts_of
from reid_srdl.data.records import limit_identities
from reid_srdl.errors import UserError

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0007_c3s1_000451_03.jpg",
    "bounding_box_train/0007_c1s1_000452_03.jpg",
    "query/0005_c1s1_001051_00.jpg",
    "bounding_box_test/0005_c2s1_000301_01.jpg",
    "bounding_box_test/0000_c6s3_094992_05.jpg",
    "bounding_box_test/-1_c4s6_022316_04.jpg",
    "gt_bbox/0005_c1s1_001051_00.jpg",
)
DUKE = (
    "bounding_box_train/0002_c1_f000451.jpg",
    "bounding_box_train/0002_c2_f000452.jpg",
    "bounding_box_train/0009_c2_f000453.jpg",
    "query/0005_c1_f001051.jpg",
    "bounding_box_test/0005_c8_f000301.jpg",
    "bounding_box_test/7139_c8_f000301.jpg",
)


def plant(folder: Path, names: tuple[str, ...], size: int) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    plant(tmp_path / "Market-1501-v15.09.15", MARKET, 10)
    plant(tmp_path / "DukeMTMC-reID", DUKE, 20)
    return tmp_path


@pytest.fixture
def both(root: Path) -> joined.JoinedData:
    return data.read("market1501+dukemtmc", root)


def test_people_and_cameras_of_the_parts_are_kept_apart(both):
    # market1501 has the people 2, 5, 7 and the cameras 1, 2, 3, 4, 6; dukemtmc 2, 5, 9, 7139 and 1, 2, 8.
    by_path = {path: (label, camera) for path, label, camera in zip(both.train.paths, both.train.labels.tolist(), both.train.cameras.tolist(), strict=True)}
    assert by_path == {
        "market1501/bounding_box_train/0002_c1s1_000451_03.jpg": (1, 1),
        "market1501/bounding_box_train/0007_c1s1_000452_03.jpg": (3, 1),
        "market1501/bounding_box_train/0007_c3s1_000451_03.jpg": (3, 3),
        "dukemtmc/bounding_box_train/0002_c1_f000451.jpg": (4, 6),
        "dukemtmc/bounding_box_train/0002_c2_f000452.jpg": (4, 7),
        "dukemtmc/bounding_box_train/0009_c2_f000453.jpg": (6, 7),
    }
    assert list(both.train.paths) == sorted(both.train.paths)
    assert both.gallery.labels[np.argsort(both.gallery.labels)].tolist() == [-1, 0, 2, 5, 7]  # junk and distractors keep their meaning
    assert both.multi_query.paths == ("market1501/gt_bbox/0005_c1s1_001051_00.jpg",) and both.multi_query.labels.tolist() == [2]


def test_a_label_leads_back_to_part_and_person(both):
    assert [both.train.label_names[label - 1] for label in both.train.identities] == ["market1501/2", "market1501/7", "dukemtmc/2", "dukemtmc/9"]
    assert both.query.label_names == both.train.label_names


def test_every_path_leads_to_its_file(both, root):
    for split in (both.train, both.query, both.gallery, both.multi_query, both.gallery.take([0, 2])):
        assert all(file.is_file() for file in split.files) and len(split.files) == len(split)
    assert both.query.files[0] == root / "DukeMTMC-reID/query/0005_c1_f001051.jpg"


def test_the_hash_covers_all_parts_and_no_place(both, root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    plant(elsewhere / "market1501", MARKET, 10)
    plant(elsewhere / "dukemtmc", DUKE, 20)
    before = both.train.hash()
    assert data.read("market1501+dukemtmc", elsewhere).train.hash() == before
    (root / "DukeMTMC-reID" / DUKE[2]).write_bytes(b"another size")
    assert data.read("market1501+dukemtmc", root).train.hash() != before


def test_the_parts_are_as_their_readers_made_them(both, root):
    assert part_names(both.name) == ("market1501", "dukemtmc") == tuple(part.name for part in parts_of(both))
    alone = data.read("dukemtmc", root)
    part = parts_of(both)[1]
    assert part.gallery.paths == alone.gallery.paths and part.gallery.labels.tolist() == alone.gallery.labels.tolist() and part.gallery.hash() == alone.gallery.hash()
    assert parts_of(alone) == (alone,)


def test_limits_hold_in_each_part_and_change_no_number(both):
    limited = joined.each(both, lambda part: limit_identities(part, train=1, holdout=1))
    assert limited.train.labels.tolist() == [4, 4, 1] and limited.train.label_names == both.train.label_names
    assert sorted(limited.val_query.label_names[label - 1] for label in limited.val_query.labels) == ["dukemtmc/9", "market1501/7", "market1501/7"]
    assert [len(part.train) for part in parts_of(limited)] == [1, 2]
    assert both.val_query is None


def test_words_of_users_stay_words(tmp_path):
    for split, name in (("train", "anna"), ("train", "bert"), ("query", "carl"), ("gallery", "carl")):
        plant(tmp_path, (f"{split}/{name}/c1_1.jpg",), 5)
    plant(tmp_path / "DukeMTMC-reID", DUKE, 5)
    both = data.read("folder+dukemtmc", tmp_path)
    assert both.train.label_names[:3] == ("folder/anna", "folder/bert", "folder/carl")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("market1501+dukemtcm", "no data set 'dukemtcm'.*dukemtmc"),
        ("market1501+", "no data set ''"),
        ("market1501+dukemtmc+market1501", "names market1501 twice"),
        ("market1501+msmt17", "MSMT17 is not in"),
        ("market1501_500k+market1501", "market1501 and market1501_500k show the same people"),
        ("cuhk03+dukemtmc+cuhk03_labeled", "cuhk03 and cuhk03_labeled show the same people"),
        ("csv+market1501", "a CSV file cannot be joined"),
        ("market1501+image-folder", "image-folder is a set of classes"),
    ],
)
def test_what_cannot_be_joined_is_said(name, words, root):
    for split in ("train", "test"):
        plant(root, (f"{split}/cat/1.jpg", f"{split}/dog/1.jpg"), 5)
    with pytest.raises(UserError, match=words):
        data.read(name, root)


def test_what_is_wrong_in_one_part_is_no_less_wrong_in_the_whole(root):
    (root / "DukeMTMC-reID" / DUKE[3]).unlink()
    plant(root / "DukeMTMC-reID", ("query/0099_c1_f001051.jpg",), 5)
    with pytest.raises(UserError, match="dukemtmc: no query person is in the gallery"):
        data.read("market1501+dukemtmc", root)
    assert [what.partition(":")[0] for what, _ in label_problems(data.reader("market1501+dukemtmc")(root))] == ["dukemtmc"]


def test_the_same_images_are_not_two_sets(tmp_path):
    """A folder that is no layout of its own is taken for that of the other set."""
    plant(tmp_path, MARKET, 5)
    with pytest.raises(UserError, match="market1501 and folder both read .*bounding_box_train/.*jpg. Name one of them, or put what is meant by folder"):
        data.read("market1501+folder", tmp_path)
