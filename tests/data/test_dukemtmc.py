"""DukeMTMC-reID, on a fabricated tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import read
from reid_srdl.errors import UserError

TREE = (
    "bounding_box_train/0001_c2_f0046182.jpg",
    "bounding_box_train/0002_c5_f0046302.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c7_f0046985.jpg",
    "bounding_box_test/7139_c8_f0046985.jpg",
)


def test_the_layout_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in TREE:
        path = tmp_path / "DukeMTMC-reID" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    data = read("dukemtmc", tmp_path)
    assert data.train.labels.tolist() == [1, 2]
    assert data.train.cameras.tolist() == [2, 5]
    assert data.gallery.labels.tolist() == [5, 7139]
    assert data.multi_query is None
    assert "training images 2 (official: 16,522)" in capsys.readouterr().err


def test_a_root_without_a_name_is_the_set_that_its_files_are_called_after(tmp_path: Path):
    for root, names in (("dukes", TREE), ("markets", [name.replace("_f0", "s1_0") for name in TREE])):
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert len(read("dukemtmc", tmp_path / "dukes").train) == len(read("market1501", tmp_path / "markets").train) == 2
    with pytest.raises(UserError, match="DukeMTMC-reID is not in"):
        read("dukemtmc", tmp_path / "markets")
    with pytest.raises(UserError, match="Market-1501 is not in"):
        read("market1501", tmp_path / "dukes")


def test_missing_data(tmp_path: Path):
    with pytest.raises(UserError, match="DukeMTMC-reID is not in .*withdrew it in 2019.*synthetic"):
        read("dukemtmc", tmp_path)
