"""CUHK03 by the new protocol: the three layouts that go round, on fabricated trees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reid_srdl.data import read
from reid_srdl.errors import UserError

# Camera pair, person within the pair, camera, image: 2_001 is another person than 1_001.
NAMES = ["1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png", "2_001_1_01.png", "2_001_2_06.png"]
TRAIN, QUERY, GALLERY = [0, 1, 2], [3], [4]


def images(folder: Path, kind: str = "detected") -> Path:
    (folder / f"images_{kind}").mkdir(parents=True)
    for name in NAMES:
        (folder / f"images_{kind}" / name).touch()
    return folder


def write_mat(path: Path, last: int = 5) -> None:
    cells = np.empty((len(NAMES), 1), dtype=object)
    cells[:, 0] = NAMES
    index = {"train_idx": TRAIN, "query_idx": QUERY, "gallery_idx": [*GALLERY[:-1], last - 1]}
    content = {key: np.array([rows]).T + 1 for key, rows in index.items()}
    scipy.io.savemat(path, {"filelist": cells, "labels": np.array([[1, 1, 2, 3, 3]]).T, **content})


def write_json(path: Path) -> None:
    def entries(rows: list[int]) -> list[list]:
        return [[f"/home/someone/cuhk03/images_detected/{NAMES[row]}", 0, 0] for row in rows]

    path.write_text(json.dumps([{"train": entries(TRAIN), "query": entries(QUERY), "gallery": entries(GALLERY)}]))


@pytest.mark.parametrize("split", ["mat", "json"])
def test_images_with_a_split_beside_them(tmp_path: Path, split: str):
    folder = images(tmp_path / "cuhk03")
    if split == "mat":
        write_mat(folder / "cuhk03_new_protocol_config_detected.mat")
    else:
        write_json(folder / "splits_new_detected.json")
    data = read("cuhk03", tmp_path)
    assert data.train.paths == tuple(f"images_detected/{NAMES[row]}" for row in TRAIN)
    assert data.train.labels.tolist() == [1, 1, 2]
    assert data.train.cameras.tolist() == [1, 2, 1]
    assert data.query.labels.tolist() == data.gallery.labels.tolist() == [3]
    assert data.gallery.cameras.tolist() == [2]


def test_labelled_boxes_are_a_set_of_their_own(tmp_path: Path):
    folder = images(tmp_path / "cuhk03", "labeled")
    write_mat(folder / "cuhk03_new_protocol_config_labeled.mat")
    assert read("cuhk03_labeled", tmp_path).train.paths[0] == "images_labeled/1_001_1_01.png"
    with pytest.raises(UserError, match=r"CUHK03 \(detected\) is not in"):
        read("cuhk03", tmp_path)


def test_the_layout_of_market1501(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in (
        "bounding_box_train/0001_c1_1.png",
        "bounding_box_train/0003_c2_6.png",
        "query/0002_c1_2.png",
        "bounding_box_test/0002_c2_7.png",
    ):
        path = tmp_path / "cuhk03-np/detected" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    data = read("cuhk03", tmp_path)
    assert data.train.labels.tolist() == [1, 3]
    assert data.gallery.cameras.tolist() == [2]
    assert "training images 2 (official: 7,365)" in capsys.readouterr().err


def test_what_is_missing_or_broken_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="is not in .*cuhk03-np/detected.*synthetic"):
        read("cuhk03", tmp_path)
    folder = images(tmp_path / "cuhk03")
    with pytest.raises(UserError, match="has images_detected but no split.*cuhk03_new_protocol_config_detected.mat"):
        read("cuhk03", tmp_path)
    write_mat(folder / "cuhk03_new_protocol_config_detected.mat", last=6)
    with pytest.raises(UserError, match="beyond its list of 5"):
        read("cuhk03", tmp_path)
    write_mat(folder / "cuhk03_new_protocol_config_detected.mat")
    (folder / "images_detected" / NAMES[4]).unlink()
    with pytest.raises(UserError, match="1 images that .* names are not in .*2_001_2_06.png"):
        read("cuhk03", tmp_path)
    (folder / "cuhk03_new_protocol_config_detected.mat").write_bytes(b"no mat")
    with pytest.raises(UserError, match="not a readable .mat"):
        read("cuhk03", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filelist": np.empty((0, 1), dtype=object), "train_idx": np.empty((0, 1))}, "beyond its list of 0|is not a split of CUHK03"),
        ({"filelist": np.array([[np.array([], dtype="U1")], [np.array([], dtype="U1")]], dtype=object)}, "is not a split of CUHK03|beyond its list of 0"),
        ({"train_idx": np.array([[np.zeros(2)], [np.zeros(3)]], dtype=object)}, "is not a split of CUHK03"),
        ({"train_idx": np.array([[1.5], [2]])}, "by what are no whole numbers"),
        ({"train_idx": np.array([[np.nan], [2]])}, "by what are no whole numbers"),
        ({"train_idx": np.array([["a"], ["b"]], dtype=object)}, "is not a split of CUHK03"),
    ],
)  # fmt: skip
def test_a_damaged_split_is_said(tmp_path: Path, changes, message):
    folder = images(tmp_path / "cuhk03")
    path = folder / "cuhk03_new_protocol_config_detected.mat"
    write_mat(path)
    kept = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    scipy.io.savemat(path, {**kept, **changes})
    with pytest.raises(UserError, match=message):
        read("cuhk03", tmp_path)
