"""Data sets that are missing, empty or spoilt."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from reid_srdl import runs

from .conftest import TRAIN, truncated


def test_no_data(refused):
    line = refused("train", *TRAIN, "--data_root", "nowhere")
    assert "no folder nowhere" in line and "--data_root" in line
    line = refused("train", "--dataset", "market1501", "--data_root", "nowhere")
    assert "Market-1501 is not in nowhere" in line and "bounding_box_train" in line and "synthetic" in line
    assert "bounding_box_train" in refused("data", "check", "market1501", "--data_root", "nowhere")
    assert "nowhere.csv" in refused("train", "--dataset", "csv", "--data_root", "nowhere.csv")


@pytest.mark.parametrize("split", ["train", "query", "gallery"])
def test_an_empty_split(refused, data, split):
    for file in (data / split).iterdir():
        file.unlink()
    line = refused("train", *TRAIN, "--data_root", data)
    assert f"no image in {data / split}" in line
    shutil.rmtree(data / split)
    assert f"no folder {split}" in refused("train", *TRAIN, "--data_root", data)


@pytest.mark.parametrize("memory_gb", ["4", "0"], ids=["in memory", "streamed"])
@pytest.mark.parametrize("spoil", [truncated, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"no image")], ids=["corrupt", "empty", "text"])
def test_a_bad_image_is_named_before_the_first_step(reid, data, tmp_path, spoil, memory_gb):
    bad = data / "train" / "0004_c2s1_000001_00.png"
    spoil(bad)
    argv = ["train", *TRAIN, "--data_root", data, "--data.memory_gb", memory_gb]
    ended = reid(*argv)
    assert ended.code == 2 and "Traceback" not in ended.err
    assert str(bad) in ended.line and "the command data check" in ended.line
    if memory_gb == "4":
        assert not (tmp_path / "runs").exists()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_bad_images_are_left_out_where_that_is_asked_for(reid, data, tmp_path):
    truncated(data / "train" / "0004_c2s1_000001_00.png")
    (data / "train" / "0005_c1s1_000000_00.png").write_bytes(b"")
    ended = reid("train", *TRAIN, "--data_root", data, "--data.skip_corrupt")
    assert ended.code == 0
    left_out = [line for line in ended.err.splitlines() if "left out" in line]
    assert len(left_out) == 2 and "0004_c2s1_000001_00.png" in left_out[0] and "0005_c1s1_000000_00.png" in left_out[1]
    assert runs.read_facts(tmp_path / "runs/run")["images"] == 52


def test_an_archive_that_would_write_outside_its_folder(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "Market-1501-v15.09.15.zip", "w") as archive:
        archive.writestr("Market-1501-v15.09.15/query/0002_c1s1_000451_03.jpg", b"x")
        archive.writestr("../../escaped.txt", b"x")
    line = refused("train", "--dataset", "market1501", "--data_root", tmp_path)
    assert "'../../escaped.txt'" in line and "Nothing was unpacked" in line
    assert not (tmp_path.parent.parent / "escaped.txt").exists()


@pytest.fixture
def one_camera(data) -> Path:
    for file in [*data.glob("*/*_c2s1_*"), *data.glob("*/*_c3s1_*")]:
        file.unlink()
    return data


def test_single_camera_data_says_why_and_what_helps(refused, reid, one_camera, tmp_path):
    line = refused("train", *TRAIN, "--data_root", one_camera, "--evaluate", "test")
    assert "4 of 4 queries have no valid match" in line and "own camera" in line and "--ignore_camera" in line and "--evaluate none" in line
    assert reid("train", *TRAIN, "--data_root", one_camera).code == 0
    line = refused("eval", "--checkpoint", "runs/run", "--device", "cpu")
    assert "4 of 4 queries have no valid match" in line and "own camera" in line and "--ignore_camera" in line
    assert reid("eval", "--checkpoint", "runs/run", "--device", "cpu", "--ignore-camera").code == 0
    found = json.loads((tmp_path / "runs/run/eval/folder-ignore_camera/metrics.json").read_text())
    assert found["protocol"]["same_camera"] is True and 0 <= found["single"]["mAP"] <= 1
    assert reid("report", "runs/run", "--parts", "quick").code == 0 and "Scores on folder-ignore_camera" in (tmp_path / "runs/run/report.html").read_text()
