"""ImageNet's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import read
from reid_srdl.errors import UserError

SYNSETS = ("n01440764", "n01443537")


def tree(folder: Path, *, val: tuple[str, ...] = tuple(f"val/{name}/ILSVRC2012_val_00000293.JPEG" for name in SYNSETS)) -> Path:
    for name in (*(f"train/{name}/{name}_10026.JPEG" for name in reversed(SYNSETS)), *val):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("place", [".", "imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"])
def test_val_is_the_test_split(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path / place)
    data = read("imagenet", tmp_path)
    assert data.class_names == SYNSETS and data.val is None
    assert data.train.paths == tuple(f"train/{name}/{name}_10026.JPEG" for name in SYNSETS)
    assert data.test.paths[0] == "val/n01440764/ILSVRC2012_val_00000293.JPEG"
    assert "training images 2 (official: 1,281,167)" in capsys.readouterr().err


def test_a_validation_set_as_it_comes_says_what_to_do(tmp_path: Path):
    tree(tmp_path / "imagenet", val=("val/ILSVRC2012_val_00000001.JPEG",))
    with pytest.raises(UserError, match="not sorted into synsets.*Move each"):
        read("imagenet", tmp_path)


def test_a_synset_that_is_missing_is_named(tmp_path: Path):
    tree(tmp_path / "imagenet", val=("val/n01440764/1.JPEG",))
    with pytest.raises(UserError, match="the class n01443537 is in train but not in test"):
        read("imagenet", tmp_path)


def test_other_folders_are_not_taken_for_it(tmp_path: Path):
    for name in ("train/cat/1.jpg", "val/cat/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(UserError, match="ImageNet is not in .*image-net.org.*--dataset synthetic"):
        read("imagenet", tmp_path)
