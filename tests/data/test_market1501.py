"""Market-1501's layout, on fabricated trees."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import market1501
from reid_srdl.errors import UserError

TREE = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000301_01.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg.jpg",
    "bounding_box_train/Thumbs.db",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c2s1_000301_01.jpg",
    "bounding_box_test/0000_c6s3_094992_05.jpg.jpg",
    "bounding_box_test/-1_c4s6_022316_04.jpg",
    "gt_bbox/0001_c1s1_001051_00.jpg",
    "gt_bbox/0002_c1s1_000451_00.jpg",
)


def tree(folder: Path, names: tuple[str, ...] = TREE) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 4, 3), number, dtype=np.uint8)).save(path, "JPEG")
    return folder


def test_the_layout_is_read(tmp_path: Path):
    data = market1501.read_layout(tree(tmp_path), "own")
    assert data.name == "own"
    assert data.train.labels.tolist() == [2, 2, 7]
    assert data.train.cameras.tolist() == [1, 2, 3]
    assert data.query.labels.tolist() == [1]
    assert data.gallery.paths[0] == "bounding_box_test/-1_c4s6_022316_04.jpg"
    assert data.gallery.labels.tolist() == [-1, 0, 1]
    assert data.gallery.without_junk().labels.tolist() == [0, 1]
    assert all(file.is_file() for file in data.gallery.files)


def test_multi_query_holds_the_query_people_only(tmp_path: Path):
    data = market1501.read_layout(tree(tmp_path), "own")
    assert data.multi_query.paths == ("gt_bbox/0001_c1s1_001051_00.jpg",)


def test_without_gt_bbox_there_is_no_multi_query(tmp_path: Path):
    names = tuple(name for name in TREE if not name.startswith("gt_bbox"))
    assert market1501.read_layout(tree(tmp_path, names), "own").multi_query is None


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("0002_c1s1_000451_03.jpg", (2, 1)),
        ("-1_c4s6_022316_04.jpg.jpg", (-1, 4)),
        ("0001_c12_f0046182.jpg", (1, 12)),
        ("anna_c1_1.jpg", None),
        ("0001.jpg", None),
        ("x0001_c1s1_1.jpg", None),
    ],
)
def test_names(name: str, parsed: tuple[int, int] | None):
    assert market1501.parse_name(name) == parsed


def test_a_subset_is_warned_of_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path / "Market-1501-v15.09.15")
    data = market1501.read_market1501(tmp_path)
    assert len(data.train) == 3
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    for words in (
        "training images 3 (official: 12,936)",
        "gallery images that are junk 1 (official: 3,819)",
        "gallery images that are distractors 1 (official: 2,798)",
        "gt_bbox images 2 (official: 25,259)",
        "cannot be set beside published ones",
    ):
        assert words in line


def test_the_official_counts_are_not_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    counts = (3, 2, 1, 1, 3, 1, 1, 2)
    monkeypatch.setattr(market1501, "OFFICIAL", dict(zip(market1501.OFFICIAL, counts, strict=True)))
    market1501.read_market1501(tree(tmp_path))
    assert capsys.readouterr().err == ""


def test_the_zip_is_read(tmp_path: Path):
    source = tree(tmp_path / "source")
    root = tmp_path / "root"
    root.mkdir()
    with zipfile.ZipFile(root / "Market-1501-v15.09.15.zip", "w") as opened:
        for name in TREE:
            opened.write(source / name, f"Market-1501-v15.09.15/{name}")
    assert market1501.read_market1501(root).train.root == root / "Market-1501-v15.09.15"


def test_missing_data_says_where_from_what_it_looks_like_and_what_to_run(tmp_path: Path):
    with pytest.raises(UserError) as error:
        market1501.read_market1501(tmp_path)
    for words in (
        str(tmp_path),
        "https://",
        "bounding_box_train",
        "Market-1501-v15.09.15.zip",
        "reid-srdl train --dataset synthetic",
    ):
        assert words in str(error.value)


def test_a_missing_folder_is_named(tmp_path: Path):
    tree(tmp_path, tuple(name for name in TREE if not name.startswith("query")))
    with pytest.raises(UserError, match="has no folder query"):
        market1501.read_market1501(tmp_path)


def test_an_empty_split_is_an_error(tmp_path: Path):
    tree(tmp_path)
    (tmp_path / "query/0001_c1s1_001051_00.jpg").unlink()
    with pytest.raises(UserError, match="split query is empty.*0002_c1s1_000451_03.jpg"):
        market1501.read_market1501(tmp_path)


def test_images_with_other_names_are_left_out_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = market1501.read_layout(tree(tmp_path, (*TREE, "query/anna.jpg")), "own")
    assert len(data.query) == 1
    assert "1 image in" in (line := capsys.readouterr().err)
    assert "anna.jpg" in line
