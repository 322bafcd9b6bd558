"""Files of embeddings that cannot be scored."""

from __future__ import annotations

import json
import pickle

import numpy as np

from reid_srdl import embeddings
from reid_srdl.embeddings import Embeddings

from .conftest import Trap, truncated


def test_code_in_a_file_of_embeddings_is_never_run(refused, tmp_path):
    mark = tmp_path / "it ran"
    np.savez(tmp_path / "array.npz", vectors=np.array([Trap(mark)], dtype=object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap(mark)))
    (tmp_path / "a.mat").write_bytes(pickle.dumps(Trap(mark)))
    for argv in (["array.npz", "array.npz"], ["bare.npz", "bare.npz"], ["a.mat"]):
        line = refused("eval", "--embeddings", *argv)
        assert argv[0] in line and "allow_pickle" not in line and not mark.exists()


def test_embeddings_that_cannot_be_scored(refused, tmp_path):
    whole = {"vectors": np.eye(3, dtype=np.float32), "labels": [1, 2, 3], "cameras": [1, 1, 1]}
    broken = np.eye(3)
    broken[1, 2] = np.nan
    cases = {
        "nan": ({**whole, "vectors": broken, "paths": ["a.jpg", "b.jpg", "c.jpg"]}, ("nan.npz", "row 1 (b.jpg)", "NaN", "leave this one out")),
        "unlabelled": ({"vectors": whole["vectors"]}, ("the query vectors have no labels", "column labels")),
        "classified": ({"vectors": whole["vectors"], "labels": whole["labels"]}, ("no cameras", "--ignore_camera")),
        "narrow": ({**whole, "vectors": np.eye(3)[:, :2]}, ("2 numbers, gallery vectors 3", "same network")),
        "short": ({**whole, "labels": [1, 2]}, ("short.npz", "labels of shape (2,)")),
        "words": ({**whole, "labels": ["anna", "bo", "cy"]}, ("words.npz", "not whole numbers")),
        "foreign": ({"features": whole["vectors"]}, ("foreign.npz", "holds no vectors")),
        "empty": ({"vectors": np.zeros((0, 3)), "labels": [], "cameras": []}, ("no queries",)),
        "same": (whole, ("3 of 3 queries have no valid match", "--ignore_camera")),
    }
    np.savez(tmp_path / "gallery.npz", **whole)
    for name, (columns, words) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **columns)
        line = refused("eval", "--embeddings", f"{name}.npz", "gallery.npz")
        assert all(word in line for word in words), line
    (tmp_path / "zero.npz").write_bytes(b"")
    (tmp_path / "zero.parquet").write_bytes(b"")
    for name in (truncated(tmp_path / "same.npz").name, "zero.npz", "zero.parquet", "gone.npz", "notes.txt"):
        assert name in refused("eval", "--embeddings", name, "gallery.npz")
    assert "Give two" in refused("eval", "--embeddings")
    assert "Give two" in refused("eval", "--embeddings", "gallery.npz")


def test_embeddings_without_cameras_are_scored_where_cameras_do_not_count(reid, tmp_path):
    embeddings.save(Embeddings(np.eye(3), labels=np.arange(1, 4)), tmp_path / "a.npz")
    assert reid("eval", "--embeddings", "a.npz", "a.npz", "--ignore_camera", "--output", "scores").code == 0
    assert json.loads((tmp_path / "scores/metrics.json").read_text())["single"]["mAP"] == 1.0
