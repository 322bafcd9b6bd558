"""Two processes train as one does: the same global batches, the same losses within rounding."""

import subprocess
import sys

import numpy as np
import pytest

from reid_srdl import runs

from .conftest import SMALL, environment


@pytest.mark.slow
def test_two_gloo_ranks_against_one(people, command, tmp_path):
    """Without BatchNorm, whose statistics are each rank's own."""
    argv = ["train", *SMALL, "--data-root", str(people.train.root), "--model.backbone", "squeezenet1_1", "--plan.epochs", "4"]
    command(*argv, "--output", "one/run")
    two = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29471", "-m", "reid_srdl", *argv, "--output", "two/run"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert two.returncode == 0, two.stderr[-3000:]
    assert runs.read_facts(tmp_path / "two/run")["processes"] == 2
    for stage in ("1-first", "2-second"):
        one, other = (runs.read_log(tmp_path / name / "run/stages" / stage) for name in ("one", "two"))
        assert len(one) == len(other) == 2
        for name in ("loss", "cross_entropy", "accuracy"):
            np.testing.assert_allclose([row[name] for row in one], [row[name] for row in other], rtol=2e-4)
