"""Two processes train as one does: the same global batches, the same losses within rounding."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from reid_srdl import runs

from .conftest import SMALL, environment

STRONG = [
    "--metric.name", "triplet", "--metric.weight", "0.5", "--data.sampler", "identity", "--data.instances", "4", "--optimiser.clip", "2",
    "--optimiser.frozen_epochs", "1", "--optimiser.backbone_rate", "0.5", "--ema.decay", "0.8", "--schedule.name", "cosine", "--optimiser.rate", "0.005",
]  # fmt: skip
"""Triplets are of the whole batch, whoever has which part of it; a frozen backbone has no gradients to wait for."""


def in_two_processes(argv: list[str], folder: Path, port: int) -> None:
    two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port), "-m", "reid_srdl", *argv],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert two.returncode == 0, two.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "port"), [([], 29471), (STRONG, 29472)], ids=["plain", "strong"])
def test_two_gloo_ranks_against_one(people, command, tmp_path, recipe, port):
    """Without BatchNorm, whose statistics are each rank's own."""
    argv = ["train", *SMALL, *recipe, "--data-root", str(people.train.root), "--model.backbone", "squeezenet1_1", "--plan.epochs", "4"]
    command(*argv, "--output", "one/run")
    in_two_processes([*argv, "--output", "two/run"], tmp_path, port)
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
