"""MSMT17, both versions, on fabricated trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_srdl.data import read
from reid_srdl.errors import UserError

LISTS = {
    "list_train.txt": ["0001/0001_000_03_0303morning_0008_0.jpg 1", "0000/0000_000_01_0303morning_0008_0.jpg 0"],
    "list_val.txt": ["0000/0000_001_14_0303noon_0034_1.jpg 0"],
    "list_query.txt": ["0000/0000_000_02_0303morning_0015_0.jpg 0"],
    "list_gallery.txt": ["0000/0000_001_05_0303morning_0016_0.jpg 0", "0001/0001_000_05_0303noon_0016_0.jpg 1"],
}


def tree(folder: Path, train: str, test: str) -> Path:
    for name, lines in LISTS.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n")
        for line in lines:
            path = folder / (train if name in ("list_train.txt", "list_val.txt") else test) / line.split()[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return folder


@pytest.mark.parametrize(
    ("version", "train", "test"), [("MSMT17_V1", "train", "test"), ("MSMT17_V2", "mask_train_v2", "mask_test_v2")]
)
def test_both_versions_are_read(tmp_path: Path, version: str, train: str, test: str):
    tree(tmp_path / version, train, test)
    data = read("msmt17", tmp_path)
    assert len(data.train) == 3
    assert data.train.paths[0] == f"{train}/0000/0000_000_01_0303morning_0008_0.jpg"
    assert data.train.labels.tolist() == [1, 1, 2]
    assert data.train.cameras.tolist() == [1, 14, 3]
    assert data.query.cameras.tolist() == [2]
    assert all(file.is_file() for file in data.gallery.files)


def test_a_mark_of_the_encoding_does_no_harm(tmp_path: Path):
    folder = tree(tmp_path, "train", "test")
    (folder / "list_train.txt").write_text("\n".join(LISTS["list_train.txt"]), encoding="utf-8-sig")
    assert len(read("msmt17", tmp_path).train) == 3


def test_other_counts_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    read("msmt17", tree(tmp_path, "train", "test"))
    err = capsys.readouterr().err
    assert "training identities 2 (official: 1,041)" in err and "query identities 1 (official: 3,060)" in err


def test_training_and_test_people_are_different_people(tmp_path: Path):
    data = read("msmt17", tree(tmp_path, "train", "test"))
    assert data.query.labels.tolist() == [3]
    assert data.gallery.labels.tolist() == [3, 4]
    assert not np.isin(data.gallery.labels, data.train.labels).any()


def test_what_is_missing_or_malformed_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="MSMT17 is not in .*list_train.txt"):
        read("msmt17", tmp_path)
    folder = tree(tmp_path, "train", "test")
    (folder / "test/0000/0000_000_02_0303morning_0015_0.jpg").unlink()
    with pytest.raises(
        UserError, match="1 of the 1 images that the lists name for query are not there, such as .*0015_0.jpg"
    ):
        read("msmt17", tmp_path)
    (folder / "list_gallery.txt").write_text("\n0000/0000_001_05_0303morning_0016_0.jpg\n")
    with pytest.raises(UserError, match="list_gallery.txt, line 2: .* is no line of MSMT17"):
        read("msmt17", tmp_path)
    (folder / "list_gallery.txt").write_text("\n".join(LISTS["list_gallery.txt"]), encoding="utf-16")
    with pytest.raises(UserError, match="list_gallery.txt is no text in UTF-8"):
        read("msmt17", tmp_path)
    (folder / "list_gallery.txt").unlink()
    with pytest.raises(UserError, match="cannot read .*list_gallery.txt"):
        read("msmt17", tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("list_val.txt", "0000/0000_000_01_0303morning_0008_0.jpg 5", "the lists of .* name train/0000/0000_000_01_0303morning_0008_0.jpg twice, as of two people"),
        ("list_train.txt", f"0000/0000_000_01_0303morning_0008_0.jpg {'1' * 5000}", "list_train.txt, line 1: .* is no line of MSMT17"),
        ("list_train.txt", f"0000/0000_000_{'1' * 5000}_0303morning_0008_0.jpg 0", "list_train.txt, line 1: .* is no line of MSMT17"),
    ],
)  # fmt: skip
def test_one_image_is_of_one_person_and_numbers_have_few_digits(tmp_path: Path, name, line, message):
    folder = tree(tmp_path, "train", "test")
    (folder / name).write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        read("msmt17", tmp_path)
