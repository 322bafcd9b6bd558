"""Several processes (torchrun, gloo) do what one does: the same global batches in training, the same scores to the digit."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid_srdl import embeddings, runs
from reid_srdl.config import ModelConfig
from reid_srdl.models import build

from ..conftest import make_split
from .conftest import SMALL, environment

STRONG = [
    "--metric.name", "triplet", "--metric.weight", "0.5", "--data.sampler", "identity", "--data.instances", "4", "--optimiser.clip", "2",
    "--optimiser.frozen_epochs", "1", "--optimiser.backbone_rate", "0.5", "--ema.decay", "0.8", "--schedule.name", "cosine", "--optimiser.rate", "0.005",
]  # fmt: skip
"""Triplets are of the whole batch, whoever has which part of it; a frozen backbone has no gradients to wait for."""


def torchrun(count: int, *argv: object, folder: Path) -> str:
    """Runs a command in so many processes; returns what it printed."""
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "reid_srdl", *map(str, argv)]
    done = subprocess.run(started, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.soak
@pytest.mark.parametrize("recipe", [[], STRONG], ids=["plain", "strong"])
def test_two_gloo_ranks_against_one(people, command, tmp_path, recipe):
    """Without BatchNorm, whose statistics are each rank's own."""
    argv = ["train", *SMALL, *recipe, "--data-root", str(people.train.root), "--model.backbone", "squeezenet1_1", "--plan.epochs", "4"]
    command(*argv, "--output", "one/run")
    torchrun(2, *argv, "--output", "two/run", folder=tmp_path)
    assert runs.read_facts(tmp_path / "two/run")["processes"] == 2
    figures = ["loss", "cross_entropy", "accuracy", *(["metric"] if recipe else [])]
    for stage in ("1-first", "2-second"):
        one, other = (runs.read_log(tmp_path / name / "run/stages" / stage) for name in ("one", "two"))
        assert len(one) == len(other) == 2
        for name in figures:
            np.testing.assert_allclose([row[name] for row in one], [row[name] for row in other], rtol=2e-4)
        weights = [load_file(tmp_path / name / "run/stages" / stage / "model.safetensors") for name in ("one", "two")]
        for name, value in weights[0].items():
            np.testing.assert_allclose(value, weights[1][name], atol=2e-4)


@pytest.mark.soak
def test_three_ranks_score_as_one_process(command, tmp_path):
    """240 gallery images are 4 batches, which 3 ranks do not divide; a second network stands beside the first."""
    for name, seed in (("query", 1), ("gallery", 2)):
        make_split(tmp_path / "photos", name, range(1, 21), 3, 4 if name == "gallery" else 1, seed=seed)
    make_split(tmp_path / "photos", "train", range(21, 24), 2, 1)
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build("squeezenet1_1", 3).eval()
        runs.save_model(tmp_path / f"{seed}.safetensors", network, ModelConfig("squeezenet1_1", "none"), (64, 32), np.array([21, 22, 23]))
    argv = ["eval", "--checkpoint", "0.safetensors", "--members", "1.safetensors", "--dataset", "folder", "--data_root", "photos", "--device", "cpu"]
    command(*argv, "--output", "one")
    out = torchrun(3, *argv, "--output", "three", folder=tmp_path)
    assert out.count("The scores and how they were reached are in three/metrics.json") == 1
    one, three = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "three"))
    assert one == three and 0 < one["single"]["mAP"] < 1 and one["protocol"]["gallery"] == 240
    for part in ("query", "gallery"):
        alone, shared = (embeddings.load(tmp_path / name / f"{part}.npz") for name in ("one", "three"))
        assert np.array_equal(alone.vectors, shared.vectors) and alone.paths == shared.paths and np.array_equal(alone.labels, shared.labels)
    for name, rows in (("first.npz", np.arange(100)), ("second.parquet", np.arange(100, 240))):
        embeddings.save(alone.take(rows), tmp_path / name)
    out = torchrun(3, "eval", "--embeddings", "one/query.npz", "first.npz", "second.parquet", folder=tmp_path)
    assert out.count("The scores and how they were reached are in one/scores/query-first-2parts/metrics.json") == 1
    parts = json.loads((tmp_path / "one/scores/query-first-2parts/metrics.json").read_text())
    assert parts["single"] == one["single"] and {key: parts["protocol"][key] for key in ("gallery", "matches")} == {key: one["protocol"][key] for key in ("gallery", "matches")}


@pytest.mark.soak
def test_three_ranks_write_down_the_soft_targets_of_one(command, tmp_path):
    """160 images are 3 batches, of which each rank has one; every way of making soft targets at once, from a teacher's checkpoint."""
    for name, people in (("train", range(1, 21)), ("query", range(21, 23)), ("gallery", range(21, 23))):
        make_split(tmp_path / "photos", name, people, 2, 4)
    network = build("squeezenet1_1", 20)
    runs.save_model(tmp_path / "teacher.safetensors", network, ModelConfig("squeezenet1_1", "none"), (64, 32), np.arange(1, 21))
    how = ["--reference.views", "3", "--reference.flip", "true", "--reference.shuffle", "true", "--reference.top_k", "5"]
    argv = [
        "train", *SMALL, *how, "--data-root", str(tmp_path / "photos"), "--model.backbone", "squeezenet1_1", "--plan.name", "kd",
        "--plan.teacher.checkpoint", str(tmp_path / "teacher.safetensors"), "--plan.epochs", "1",
    ]  # fmt: skip
    command(*argv, "--output", "one/run")
    torchrun(3, *argv, "--output", "three/run", folder=tmp_path)
    (one,), (three,) = ([load_file(path) for path in (tmp_path / name).rglob(runs.REFERENCE)] for name in ("one", "three"))
    assert one["logits"].shape == (160, 5)
    assert all(torch.equal(one[name], three[name]) for name in ("logits", "classes"))
