"""A user's own classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import read
from reid_srdl.data.images import open_source
from reid_srdl.errors import UserError


def tree(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(root / name)
    return root


SPLITS = {"train": 2, "val": 1, "test": 1}


def splits(*there: str) -> tuple[str, ...]:
    return tuple(f"{split}/{name}/{number}.png" for split in there for name in ("cat", "dog") for number in range(SPLITS[split]))


def test_with_all_three_folders_val_is_val(tmp_path: Path):
    data = read("image-folder", tree(tmp_path, *splits("train", "val", "test")))
    assert data.class_names == ("cat", "dog")
    assert data.train.paths == ("train/cat/0.png", "train/cat/1.png", "train/dog/0.png", "train/dog/1.png")
    assert data.val.paths == ("val/cat/0.png", "val/dog/0.png") and data.val.name == "val"
    assert data.test.paths == ("test/cat/0.png", "test/dog/0.png")


@pytest.mark.parametrize("there", ["val", "test"])
def test_one_of_them_alone_is_the_test_split(tmp_path: Path, there: str):
    data = read("image-folder", tree(tmp_path, *splits("train", there)))
    assert data.val is None and data.test.name == "test"
    assert data.test.paths == (f"{there}/cat/0.png", f"{there}/dog/0.png")
    assert data.test.hash(), "its paths lead to files"


def test_images_of_all_kinds(tmp_path: Path):
    tree(tmp_path, *splits("train", "test"), "train/cat/9.webp", "train/dog/9.JPG")
    Image.fromarray(np.full((5, 7), 9, dtype=np.uint8)).save(tmp_path / "train/cat/grey.png")
    data = read("image-folder", tmp_path)
    assert len(data.train) == 7
    batch = open_source(data.train.files, (8, 8)).batch(range(7))
    assert batch.shape == (7, 3, 8, 8)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (splits("train"), "has the folder train, but neither val nor test"),
        (splits("val", "test"), "has the folder val and the folder test, but no train"),
        (("cat/1.png", "dog/1.png"), r"2 folders of images \(cat, dog, …\) but does not say what trains"),
        (("1.png",), "no folders train and test.*Wanted"),
        ((*splits("train", "test"), "val/cow/1.png"), "2 classes .*cat, dog.* are in train but not in val"),
        ((*splits("train", "test"), "test/cow/1.png"), "the class cow is in test but not in train"),
        (("train/cat/1.png", "test/cat/1.png"), "train holds one class only"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, names: tuple[str, ...], words: str):
    with pytest.raises(UserError, match=words):
        read("image-folder", tree(tmp_path, *names))


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserError, match="there is no folder .*none.*--data_root"):
        read("image-folder", tmp_path / "none")
