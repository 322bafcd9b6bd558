"""Folders of classes: one order of labels, and classes that must be in every split."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data.class_tree import class_data, class_images
from reid_srdl.errors import UserError


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root: Path, *splits: str):
    return class_data("own", root, {split: class_images(root, split) for split in splits})


def test_labels_count_sorted_names_and_paths_are_sorted(tmp_path: Path):
    tree(tmp_path, "train/b2/1.jpg", "train/b10/z.JPEG", "train/b10/a.png", "train/.hidden/1.jpg", "train/b2/Thumbs.db", "test/b2/1.jpg", "test/b10/1.jpg")
    data = read(tmp_path, "train", "test")
    assert data.class_names == ("b10", "b2"), "plain order, as other libraries have it, not the natural one"
    assert data.train.paths == ("train/b10/a.png", "train/b10/z.JPEG", "train/b2/1.jpg")
    assert data.train.labels.tolist() == [0, 0, 1]
    assert data.test.labels.tolist() == [0, 1]
    assert data.val is None and data.test.name == "test" and data.train.label_names is None


def test_images_may_lie_in_a_folder_of_the_class(tmp_path: Path):
    tree(tmp_path, "train/a/images/1.jpg", "train/a/boxes.txt")
    assert class_images(tmp_path, "train", "images") == {"a": ["train/a/images/1.jpg"]}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg"), "the class b is in train but not in test"),
        (("train/a/1.jpg", "test/a/1.jpg", "test/c/1.jpg"), "the class c is in test but not in train"),
        ((*(f"train/{name}/1.jpg" for name in "abcde"), "test/a/1.jpg"), r"4 classes \(b, c, d, …\) are in train but not in test"),
        (("train/a/1.jpg", "train/b/x.txt", "test/a/1.jpg"), "the class b has no images"),
        (("train/a/deeper/1.jpg", "test/a/1.jpg"), "the class a has no images: there is none in .*train/a itself"),
        (("train/1.jpg", "train/2.jpg", "test/a/1.jpg"), "train holds 2 images in no class.*CLASS/1.jpg"),
        (("train/x.txt", "test/a/1.jpg"), "train holds no classes"),
    ],
)
def test_what_is_missing_is_named_in_one_line(tmp_path: Path, names: tuple[str, ...], words: str):
    with pytest.raises(UserError, match=words) as caught:
        read(tree(tmp_path, *names), "train", "test")
    assert "\n" not in str(caught.value)


def test_images_beside_the_classes_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert list(class_images(tree(tmp_path, "train/a/1.jpg", "train/stray.jpg"), "train")) == ["a"]
    assert "1 images that lie in" in capsys.readouterr().err


def test_images_that_are_left_out_of_a_class_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path, "train/a/1.jpg", "train/a/2.ppm", "train/a/3.heic", "train/a/sub/4.jpg")
    assert class_images(tmp_path, "train") == {"a": ["train/a/1.jpg"]}
    said = capsys.readouterr().err
    assert "2 images are left out, of a kind that is not read (such as" in said and "an image is left out, in folders below that of a class" in said and "sub/4.jpg" in said
