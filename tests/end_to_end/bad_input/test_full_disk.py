"""A disk that fills up."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from reid_srdl import runs

from ...small_disk import resized, small_disk
from .conftest import TRAIN, contents, same_weights, saved_model


@pytest.mark.parametrize("kilobytes", [4, 8, 24, 80])
def test_a_full_disk_stops_training_and_a_larger_one_ends_it(reid, people, unbroken, tmp_path, kilobytes):
    """The disk fills up at different files; what is there is whole, and the run goes on from it to the same end."""
    train = ["train", *TRAIN, "--data_root", people.train.root, "--plan.epochs", "4"]
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        run = disk / "runs/run"
        ended = reid(*train, "--output", run)
        assert ended.code == 2 and ended.line.startswith("reid-srdl train: cannot write ") and "Traceback" not in ended.err, ended.err
        assert str(disk) in ended.line and "free some space" in ended.line.lower() and "--output" in ended.line
        assert not list(disk.rglob("*.tmp*"))
        for file in disk.rglob("*.safetensors"):
            load_file(file)
        resized(disk, 8192)
        assert reid("train", "--resume", run).code == 0
        assert same_weights(run / "stages/2-second/model.safetensors", unbroken)
        assert len(runs.read_log(run / "stages/2-second")) == 2


@pytest.mark.parametrize("name", ["out.npz", "out.parquet"])
def test_a_full_disk_leaves_no_embeddings(reid, people, tmp_path, name):
    model = saved_model(tmp_path / "model.safetensors", (1, 2, 3))
    with small_disk(tmp_path / "disk", 4) as disk:
        (disk / name).write_bytes(b"older")
        ended = reid("embed", "--checkpoint", model, "--images", people.train.root, "--output", disk / name, "--device", "cpu")
        assert ended.code == 2 and "Traceback" not in ended.err
        assert ended.line.startswith(f"reid-srdl embed: cannot write {disk / name}: ") and "free some space" in ended.line
        assert contents(disk) == {name: b"older"}
