"""VeRi-776, on a fabricated tree."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from reid_srdl.data import matches, read
from reid_srdl.errors import UserError

# As published, the query images stand in the gallery as well.
TREE = (
    "image_train/0001_c001_00016450_0.jpg",
    "image_train/0003_c012_00016460_0.jpg",
    "image_query/0002_c002_00030600_0.jpg",
    "image_query/0005_c011_00077635_0.jpg",
    "image_test/0002_c002_00030600_0.jpg",
    "image_test/0002_c002_00030605_1.jpg",
    "image_test/0002_c003_00084280_0.jpg",
    "image_test/0005_c011_00077635_0.jpg",
    "image_test/0005_c020_00077640_0.jpg",
)


def plant(folder: Path) -> Path:
    for name in TREE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_the_layout_is_read(tmp_path, capsys):
    plant(tmp_path / "VeRi")
    data = read("veri776", tmp_path)
    assert data.train.labels.tolist() == [1, 3] and data.train.cameras.tolist() == [1, 12]
    assert data.query.labels.tolist() == [2, 5] and data.gallery.cameras.tolist() == [2, 2, 3, 11, 20]
    assert data.multi_query is None
    err = capsys.readouterr().err
    assert "training images 2 (official: 37,778)" in err and "query identities 2 (official: 200)" in err


def test_a_query_does_not_find_itself(tmp_path):
    data = read("veri776", plant(tmp_path))
    found = matches.states(data.query.labels, data.query.cameras, data.gallery.labels, data.gallery.cameras)
    assert found.tolist() == [[2, 2, 1, 0, 0], [0, 0, 0, 2, 1]]


def test_the_zip_is_read(tmp_path):
    plant(tmp_path / "source")
    (tmp_path / "root").mkdir()
    with zipfile.ZipFile(tmp_path / "root" / "VeRi.zip", "w") as opened:
        for name in TREE:
            opened.write(tmp_path / "source" / name, f"VeRi/{name}")
    assert read("veri776", tmp_path / "root").train.root == tmp_path / "root" / "VeRi"


def test_missing_data(tmp_path):
    with pytest.raises(UserError, match=r"VeRi-776 is not in .*vehiclereid\.github\.io.*image_train.*synthetic"):
        read("veri776", tmp_path)
