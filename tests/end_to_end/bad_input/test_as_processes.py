"""The same in processes of their own, as a shell sees it."""

from __future__ import annotations

import subprocess

import numpy as np

from .conftest import TRAIN


def said(done: subprocess.CompletedProcess) -> str:
    assert "reid-srdl" not in done.stdout
    line = done.stderr.rstrip("\n").rpartition("\n")[2]
    assert done.stderr.count("reid-srdl ") == line.count("reid-srdl ") and line.startswith("reid-srdl "), done.stderr
    return line


def test_a_process_without_data(command, tmp_path):
    line = said(command("train", "--dataset", "market1501", "--data-root", "nowhere", check=2))
    assert "Market-1501 is not in nowhere" in line and not list(tmp_path.iterdir())


def test_a_process_with_a_bad_image(command, data, tmp_path):
    bad = data / "train" / "0006_c3s1_000002_00.png"
    bad.write_bytes(b"")
    line = said(command("train", *TRAIN, "--model.backbone", "shufflenet_v2_x0_5", "--data-root", data, check=2))
    assert str(bad) in line and "0 bytes" in line and [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_process_with_embeddings_that_are_not_finite(command, tmp_path):
    np.savez(tmp_path / "q.npz", vectors=[[1.0], [np.inf]], labels=[1, 2], cameras=[1, 1])
    line = said(command("eval", "--embeddings", "q.npz", "q.npz", check=2))
    assert "q.npz: the vector in row 1" in line and [path.name for path in tmp_path.iterdir()] == ["q.npz"]
