"""Tiny ImageNet's own layout."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from reid_srdl.data import read
from reid_srdl.errors import UserError

SYNSETS = ("n01443537", "n03444034")
LINES = ("val_0.JPEG\tn03444034\t0\t32\t44\t62", "val_1.JPEG\tn01443537\t52\t55\t57\t59", "val_10.JPEG\tn03444034\t1\t2\t3\t4")


def tree(folder: Path, lines: tuple[str, ...] = LINES) -> Path:
    names = [f"train/{name}/images/{name}_{number}.JPEG" for name in SYNSETS for number in range(2)]
    for name in (*names, "val/images/val_0.JPEG", "val/images/val_1.JPEG", "val/images/val_10.JPEG", "test/images/test_0.JPEG"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "val/val_annotations.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("place", [".", "tiny-imagenet-200", "tiny-imagenet", "tiny-imagenet/tiny-imagenet-200"])
def test_val_is_sorted_into_classes_and_is_the_test_split(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path / place)
    data = read("tiny-imagenet", tmp_path)
    assert data.class_names == SYNSETS and data.val is None
    assert data.train.paths[0] == "train/n01443537/images/n01443537_0.JPEG"
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.test.paths == ("val/images/val_0.JPEG", "val/images/val_1.JPEG", "val/images/val_10.JPEG")
    assert data.test.labels.tolist() == [1, 0, 1]
    assert data.test.hash()
    assert "training images 4 (official: 100,000)" in capsys.readouterr().err


def test_the_published_archive_is_unpacked(tmp_path: Path):
    tree(tmp_path / "elsewhere/tiny-imagenet-200")
    (tmp_path / "root").mkdir()
    with zipfile.ZipFile(tmp_path / "root/tiny-imagenet-200.zip", "w") as archive:
        for path in sorted((tmp_path / "elsewhere").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path / "elsewhere"))
    assert len(read("tiny-imagenet", tmp_path / "root").train) == 4
    assert (tmp_path / "root/tiny-imagenet-200/val/val_annotations.txt").is_file()


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("val_0.JPEG n03444034", *LINES[1:]), r"val_annotations\.txt, line 1: 'val_0.JPEG n03444034' names no image and class"),
        ((*LINES, "val_9.JPEG\tn01443537\t0\t0\t1\t1"), r"line 4: there is no image .*val_9\.JPEG"),
        ((*LINES, LINES[0]), r"line 4: there is no image .*an image stands in the list once"),
        ((LINES[0], LINES[2]), "the class n01443537 is in train but not in test"),
        ((*LINES[:2], "val_10.JPEG\tn00000000\t0\t0\t1\t1"), "the class n00000000 is in test but not in train"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, lines: tuple[str, ...], words: str):
    tree(tmp_path, lines)
    with pytest.raises(UserError, match=words):
        read("tiny-imagenet", tmp_path)


def test_images_without_a_line_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert len(read("tiny-imagenet", tree(tmp_path, LINES[:2])).test) == 2
    assert "1 images in" in capsys.readouterr().err


def test_a_set_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserError, match="Tiny ImageNet is not in .*tiny-imagenet-200.zip.*--dataset synthetic"):
        read("tiny-imagenet", tmp_path)
