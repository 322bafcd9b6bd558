"""Checkpoints that are not what they say."""

from __future__ import annotations

import json
import pickle

import safetensors.torch
import torch
from safetensors.torch import load_file

from reid_srdl.models import build
from reid_srdl.runs.model_file import _facts_hash

from .conftest import TRAIN, Trap, saved_model, truncated


def test_weights_of_another_architecture(refused, people, tmp_path):
    other = tmp_path / "other.safetensors"
    state = build("shufflenet_v2_x0_5", 3).backbone.state_dict()
    safetensors.torch.save_file({name: value.contiguous() for name, value in state.items()}, other)
    line = refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", other)
    assert "nothing in" in line and str(other) in line and "--model.backbone" in line


def test_a_checkpoint_that_is_not_what_it_says(refused, people, tmp_path):
    """Weights of one network under the name of another, and of a network with options from the future."""
    file = saved_model(tmp_path / "model.safetensors", (1, 2, 3))
    # Copies: older releases of safetensors map the file into memory, and writing it anew would change them.
    state = {name: value.clone() for name, value in load_file(file).items()}
    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    for key, value, word in (("backbone", "shufflenet_v2_x0_5", "do not fit a shufflenet"), ("gates", 3, "this version does not know")):
        said = {**metadata, "model": json.dumps({**json.loads(metadata["model"]), key: value})}
        said["facts"] = _facts_hash(said)  # else the checksum of what it says would be the first to complain
        safetensors.torch.save_file(state, file, metadata=said)
        assert word in refused("eval", "--checkpoint", file, "--dataset", "folder", "--data_root", people.train.root)


def test_a_truncated_checkpoint(refused, people, tmp_path):
    file = truncated(saved_model(tmp_path / "model.safetensors", (1, 2, 3)))
    line = refused("eval", "--checkpoint", file, "--dataset", "folder", "--data_root", people.train.root)
    assert str(file) in line and "truncated" in line and "again" in line
    assert str(file) in refused("embed", "--checkpoint", file, "--images", people.query.root, "--output", tmp_path / "out.npz")
    assert str(file) in refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", file)
    assert "no checkpoint nowhere" in refused("embed", "--checkpoint", "nowhere", "--images", people.query.root, "--output", "out.npz")


def test_a_teacher_with_another_label_set(refused, people, tmp_path):
    teacher = saved_model(tmp_path / "model.safetensors", (1, 2, 3, 4, 5, 99))
    argv = ["train", *TRAIN, "--data_root", people.train.root, "--plan.name", "kd", "--plan.teacher.checkpoint"]
    line = refused(*argv, teacher)
    assert str(teacher) in line and "labels" in line and "same label set" in line
    assert "nowhere. Give a run folder" in refused(*argv, "nowhere")


def test_code_in_a_file_of_weights_is_never_run(refused, people, tmp_path):
    file, mark = tmp_path / "weights.pth", tmp_path / "it ran"
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        write({"state_dict": {"a": torch.zeros(2), "trap": Trap(mark)}}, file)
        line = refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", file)
        assert str(file) in line and not mark.exists()
