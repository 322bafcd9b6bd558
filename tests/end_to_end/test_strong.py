"""The tricks of a strong recipe under SRDL, on people of the synthetic data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reid_srdl import inference, runs
from reid_srdl.config import Config, load
from reid_srdl.data import read
from reid_srdl.data.synthetic.spec import Spec
from reid_srdl.data.synthetic.write import render
from reid_srdl.embeddings import Embeddings
from reid_srdl.evaluation import rank
from reid_srdl.training import reference

PEOPLE = Spec(train_identities=6, test_identities=4, cameras=2, shots=4, multi_query=1, distractors=4, junk=2)
STRONG = [
    "train", "--dataset", "synthetic", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--log.tensorboard", "false",
    "--data.height", "64", "--data.width", "32", "--data.batch", "16", "--data.sampler", "identity", "--augment.erase", "0.5",
    "--model.backbone", "shufflenet_v2_x0_5", "--model.weights", "none", "--model.neck", "bnneck", "--optimiser.name", "adam", "--optimiser.rate", "0.001",
    "--optimiser.backbone_rate", "0.5", "--optimiser.spare_norms", "--optimiser.frozen_epochs", "1", "--optimiser.clip", "5", "--optimiser.accumulate", "2",
    "--schedule.name", "cosine", "--schedule.warmup_epochs", "1", "--loss.label_smoothing", "0.1", "--metric.name", "triplet", "--metric.margin", "0.3",
    "--ema.decay", "0.9", "--reference.weights", "last", "--plan.name", "srdl", "--plan.epochs", "4",
    "--distance", "cosine", "--log.eval_every", "2", "--log.eval_split", "test",
]  # fmt: skip


def mean_average_precision(run: Path, root: Path) -> float:
    """Of the network as training scores it. After so few steps all embeddings are alike but for their last digits, which ``Trained.embedder`` rounds otherwise."""
    trained, people = runs.load(run, "cpu"), read("synthetic", root / "datasets")
    found = []
    for split in (people.query, people.gallery.without_junk()):
        vectors = inference.embed(trained.network, trained.source(split.files), size=trained.size, place=trained.place)
        found.append(Embeddings(vectors, labels=split.labels, cameras=split.cameras))
    return rank(*found, metric="cosine").mAP


@pytest.mark.soak
def test_srdl_on_a_strong_recipe(command, tmp_path):
    render(tmp_path / "datasets/synthetic", PEOPLE)
    done = command(*STRONG, "--output", "run")
    assert done.stderr.count("  metric ") == 4, "a line an epoch says it"
    run = tmp_path / "run"
    first, second = runs.finished_stages(run)
    for stage in (first, second):
        rows = runs.read_log(stage)
        assert [row["rate"] for row in rows] == pytest.approx([1e-4, 1e-3]), "each stage has its own warm-up"
        assert all(0 < row["metric"] < 100 for row in rows) and all((row["imitation"] is None) == (stage == first) for row in rows)
        averaged, last = (runs.read_model(stage / f"{name}.safetensors").hash for name in ("ema", "last"))
        assert runs.read_model(stage / "model.safetensors").hash == averaged != last
    assert runs.read_model(first / "last.safetensors").hash in reference.load(first / "reference.safetensors").how
    metrics = json.loads((run / "eval/synthetic/metrics.json").read_text())
    assert 0 < metrics["single"]["mAP"] <= 1 and (run / "report.html").is_file()
    assert metrics["protocol"]["metric"] == "cosine" and rows[-1]["val_mAP"] == pytest.approx(mean_average_precision(run, tmp_path), abs=1e-6)
    again, other = (command("eval", "--checkpoint", "run", *more, "--device", "cpu") for more in ((), ("--metric", "euclidean")))
    assert "cosine distance" in again.stdout and json.loads((run / "eval/synthetic/metrics.json").read_text())["single"] == metrics["single"]
    otherwise = json.loads((run / "eval/synthetic-euclidean/metrics.json").read_text())
    assert "euclidean distance" in other.stdout and otherwise["single"]["mAP"] != metrics["single"]["mAP"]
    config = load(run / "config.yaml")
    assert isinstance(config, Config) and config.optimiser.betas == (0.9, 0.999) and config.ema.decay == 0.9
