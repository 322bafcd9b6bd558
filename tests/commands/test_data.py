"""``data check`` and ``data verify``, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from reid_srdl.commands.data import run
from reid_srdl.errors import UserError

PEOPLE = {"train": (1, 2), "query": (7,), "gallery": (7, 8)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two people to train on, one to ask for, two in the gallery; two cameras."""
    rng = np.random.default_rng(0)
    for split, people in PEOPLE.items():
        for person in people:
            for camera in (1,) if split == "query" else (1, 2):
                path = tmp_path / "own" / split / f"{person:04}_c{camera}_1.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 255, (64, 32, 3), dtype=np.uint8)).save(path)
    return tmp_path / "own"


def check(root: Path, *argv: str) -> int:
    return run(["check", "folder", "--data-root", str(root), "--output", str(root.parent / "out"), *argv])


def test_a_sound_set_is_0(root: Path, capsys: pytest.CaptureFixture[str]):
    assert check(root) == 0
    out = capsys.readouterr().out
    assert "Nothing stands in the way of training and scoring." in out
    assert "Every query has a valid match" in out
    assert f"train --dataset folder --data_root {root}" in out
    found = json.loads((root.parent / "out/findings.json").read_text())
    assert found["dataset"] == "folder"
    assert [row["images"] for row in found["counts"]] == [4, 1, 4]
    assert {finding["severity"] for finding in found["findings"]} == {"note"}
    assert check(root, "--ignore_camera") == 0
    assert "--evaluate" not in capsys.readouterr().out
    with Image.open(root.parent / "out/contact_sheet.png") as opened:
        assert opened.format == "PNG"


def test_a_corrupt_image_is_1_and_named(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "train/0001_c1_1.jpg").write_bytes(b"")
    assert check(root) == 1
    out = capsys.readouterr().out
    assert "STOP  1 image cannot be read" in out
    assert "0001_c1_1.jpg" in out
    (stop,) = [
        finding
        for finding in json.loads((root.parent / "out/findings.json").read_text())["findings"]
        if finding["severity"] == "stop"
    ]
    assert stop["images"] == ["train/0001_c1_1.jpg"]


def test_a_name_of_a_file_gives_no_orders_to_the_terminal(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "train" / "0001_c1_\x1b]52;c;AAAA\x07.jpg").write_bytes(b"no image")
    assert check(root) == 1
    out, err = capsys.readouterr()
    assert "\x1b]52" not in out + err and "\\x1b]52;c;AAAA\\x07.jpg" in out


def test_one_camera_is_1_unless_cameras_are_ignored(root: Path, capsys: pytest.CaptureFixture[str]):
    for path in sorted(root.rglob("*_c2_*")):
        path.unlink()
    assert check(root) == 1
    assert "1 of 1 queries have no valid match" in capsys.readouterr().out
    assert check(root, "--ignore_camera=true") == 0
    out = capsys.readouterr().out
    assert f"train --dataset folder --data_root {root} --evaluate none\n" in out and "eval --checkpoint RUN --ignore_camera\n" in out


def test_labels_that_cannot_be_scored_are_a_finding_not_an_end(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "query/0007_c1_1.jpg").rename(root / "query/0099_c1_1.jpg")
    assert check(root) == 1
    assert "STOP  No query person is in the gallery (asked for: 99; there: 7, 8)" in capsys.readouterr().out


def test_classes_have_a_table_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number, name in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        (tmp_path / "own" / name).mkdir(parents=True)
        Image.fromarray(np.full((20, 30, 3), number * 9, dtype=np.uint8)).save(tmp_path / "own" / name / "1.png")
    assert run(["check", "image-folder", "--data-root", str(tmp_path / "own"), "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "classes" in out and "cameras" not in out and "2 classes, with 1 image each to train on" in out
    found = json.loads((tmp_path / "out/findings.json").read_text())
    assert found["counts"] == [{"name": "train", "images": 2, "classes": 2}, {"name": "test", "images": 2, "classes": 2}]
    assert (tmp_path / "out/contact_sheet.png").is_file()
    with pytest.raises(UserError, match="classification set"):
        run(["verify", "image-folder", "--data-root", str(tmp_path / "own")])


def test_verify(root: Path, capsys: pytest.CaptureFixture[str]):
    (root / "gt_query").mkdir()
    for kind, index in (("good", [2]), ("junk", [1])):
        scipy.io.savemat(root / f"gt_query/0007_c1_1_{kind}.mat", {f"{kind}_index": [index]})
    assert run(["verify", "folder", "--data_root", str(root)]) == 0
    assert "1 queries, 1 good matches" in capsys.readouterr().out
    scipy.io.savemat(root / "gt_query/0007_c1_1_good.mat", {"good_index": [[2, 3]]})
    assert run(["verify", "folder", "--data_root", str(root)]) == 1
    assert "query/0007_c1_1.jpg: matches: 1 only in the files" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["chekc", "folder"], "does not know 'chekc'.*data check DATASET"),
        (["check"], "needs the name of a data set"),
        (["check", "--data_root", "x"], "needs the name of a data set"),
        (["check", "foldr"], "no data set 'foldr'.*folder"),
        (["check", "folder", "--outptu", "x"], "outptu.*output"),
        (["verify", "folder", "--data_root", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_is_typed_wrong_is_said(argv: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=words):
        run(argv)
    assert list(tmp_path.iterdir()) == []


def test_help(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    assert "check DATASET" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        run(["check", "--help"])
    assert stopped.value.code == 0
    assert "--ignore_camera" in capsys.readouterr().out
