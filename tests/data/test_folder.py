"""A user's own folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import read
from reid_srdl.data.folder import read_folder
from reid_srdl.errors import UserError

PEOPLE = (
    "train/p2/a.jpg",
    "train/p2/b.jpg",
    "train/p10/a.jpg",
    "query/zoe/c1_1.jpg",
    "gallery/zoe/x_c2_1.jpg",
    "gallery/0/a_c2.jpg",
    "gallery/-1/a_c2.jpg",
)
FLAT = (
    "train/0002_c1s1_1_0.jpg",
    "train/0003_c2s1_1_0.jpg",
    "query/0007_c1_1.jpg",
    "gallery/0007_c2_1.jpg",
    "gallery/0000_c3_1.jpg",
)


def tree(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 4, 3), dtype=np.uint8)).save(path)
    return folder


def test_a_folder_a_person(tmp_path: Path):
    data = read("folder", tree(tmp_path, PEOPLE))
    assert data.train.paths == ("train/p10/a.jpg", "train/p2/a.jpg", "train/p2/b.jpg")
    assert data.train.label_names == data.gallery.label_names == ("p2", "p10", "zoe")
    assert data.train.labels.tolist() == [2, 1, 1]
    assert data.query.labels.tolist() == [3]
    assert data.gallery.labels.tolist() == [-1, 0, 3]
    assert data.multi_query is None


def test_cameras_come_from_the_names_or_are_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = read_folder(tree(tmp_path, PEOPLE))
    assert data.train.cameras.tolist() == [0, 0, 0]
    assert data.query.cameras.tolist() == [1]
    assert data.gallery.cameras.tolist() == [2, 2, 2]
    assert "3 images tell no camera" in capsys.readouterr().err


def test_names_as_in_market1501(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = read("folder", tree(tmp_path, FLAT))
    assert data.train.labels.tolist() == [2, 3]
    assert data.train.label_names is None
    assert data.gallery.labels.tolist() == [0, 7]
    assert data.gallery.cameras.tolist() == [3, 2]
    assert capsys.readouterr().err == ""


def test_the_layout_of_market1501(tmp_path: Path):
    names = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
    tree(
        tmp_path,
        tuple(f"{names[name.split('/')[0]]}/{name.split('/')[1]}" for name in FLAT) + ("gt_bbox/0007_c1_2.jpg",),
    )
    data = read("folder", tmp_path)
    assert len(data.train) == 2
    assert data.multi_query.labels.tolist() == [7]


def test_people_with_words_for_names(tmp_path: Path):
    data = read_folder(
        tree(tmp_path, ("train/anna_c1_1.jpg", "train/bert_c1_1.jpg", "query/carl_c1_1.jpg", "gallery/carl_c2_1.jpg"))
    )
    assert data.query.label_names == ("anna", "bert", "carl")
    assert data.query.labels.tolist() == [3]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train/a/1.jpg",), "no folder query and no folder gallery.*Wanted: the folders train, query and gallery"),
        (("anna/1.jpg", "bert/1.jpg"), r"2 folders of images \(anna, bert, …\) but does not say who trains"),
        (("readme.jpg",), "has no folders train, query and gallery"),
        ((*PEOPLE, "train/holiday.jpg"), "train/holiday.jpg tells no person.*Rename it"),
        (("train/a/x/1.jpg", "query/a/1.jpg", "gallery/a/1.jpg"), "train/a holds folders instead of images"),
        ((*FLAT[:2], "query/0001_c1_1.jpg", "gallery/0009_c2_1.jpg"), "no query person is in the gallery"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, names: tuple[str, ...], words: str):
    with pytest.raises(UserError, match=words):
        read("folder", tree(tmp_path, names))


def test_an_empty_split_is_an_error(tmp_path: Path):
    (tree(tmp_path, PEOPLE) / "query/zoe/c1_1.jpg").unlink()
    with pytest.raises(UserError, match="split query is empty"):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserError, match="there is no folder .*none.*--data_root"):
        read_folder(tmp_path / "none")


def test_among_other_data_sets_it_is_the_folder_of_its_name(tmp_path: Path):
    names = ("train/anna/1.jpg", "train/bert/1.jpg", "query/carl/c1_1.jpg", "gallery/carl/c2_1.jpg")
    tree(tmp_path / "folder", names)
    among, alone = read_folder(tmp_path), read_folder(tmp_path / "folder")
    assert among.train.files == alone.train.files and among.gallery.paths == alone.gallery.paths
    tree(tmp_path, ("train/dora/1.jpg", "train/emil/1.jpg", "query/carl/c1_1.jpg", "gallery/carl/c2_1.jpg"))
    assert len(read_folder(tmp_path).train) == 2 and "dora" in str(read_folder(tmp_path).train.files[0])  # its own splits come first


def test_a_camera_0_is_told_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = ("train/anna_c0_1.jpg", "train/anna_c1_1.jpg", "query/bert_c0_1.jpg", "gallery/bert_c1_1.jpg")
    assert read_folder(tree(tmp_path, names)).train.cameras.tolist() == [0, 1]
    assert capsys.readouterr().err == ""


def test_images_that_are_left_out_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path, (*PEOPLE, "train/dave/c1_1.jpg", "train/dave/cam2/c2_1.jpg"))
    for name in ("train/carl/IMG_1.HEIC", "train/carl/._IMG_1.HEIC", "gallery/zoe/notes.txt", "gallery/zoe/c3.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "train/p2/b.jpg").rename(tmp_path / "train/p2/b.JFIF")
    data = read_folder(tmp_path)
    assert "carl" not in data.train.label_names and "train/p2/b.JFIF" in data.train.paths
    said = capsys.readouterr().err.splitlines()
    assert f"warning: an image is left out, of a kind that is not read (such as {tmp_path}/train/carl/IMG_1.HEIC): save them as JPEG or PNG" in said
    assert f"warning: an image is left out, of a kind that is not read (such as {tmp_path}/gallery/zoe/c3.gif): save them as JPEG or PNG" in said
    assert f"warning: an image is left out, in folders below that of a person (such as {tmp_path}/train/dave/cam2/c2_1.jpg): move them up" in said
