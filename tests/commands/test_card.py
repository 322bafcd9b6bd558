"""``card``: everything in it stands in the files of the run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import data, files, runs
from reid_srdl.commands import card
from reid_srdl.commands import eval as evaluation
from reid_srdl.errors import UserError
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.experiments import cost
from reid_srdl.training.run import train


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def run(finished, config, people, watch, tmp_path, monkeypatch) -> Path:
    """A finished run of two stages on ``people``."""
    if not (finished / "run").is_dir():
        shutil.copytree(train(config, people, watch=watch), finished / "run")
    shutil.copytree(finished / "run", tmp_path / "a run")
    monkeypatch.setattr(data, "read", lambda name, root: people)
    return tmp_path / "a run"


def written(run: Path, *flags: str) -> str:
    assert card.run([str(run), *flags]) == 0
    return (run / "README.md").read_text()


def rows(text: str, title: str) -> dict[str, str]:
    """The first two columns of all tables of a section."""
    part = text.split(f"\n## {title}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {first: second for first, second, *_ in cells}


def test_facts_are_those_of_the_files(run, capsys):
    evaluation.run(["--checkpoint", str(run), "--device", "cpu"])
    evaluation.run(["--checkpoint", str(run / "stages" / "1-first"), "--device", "cpu", "--flip"])
    text, facts = written(run), runs.read_facts(run)
    recorded = rows(text, "Data")
    assert recorded["Training images"] == "54" and recorded["People"] == "6 people" and recorded["Hash of the list of images"] == f"`{facts['data_hash']}`"
    recipe = rows(text, "Recipe")
    assert recipe["first"] == "2" and recipe["second"] == "3" and recipe["Learning rate"] == "0.05" and recipe["Network"] == "small" and recipe["Seed"] == "0"
    last = runs.read_log(run / "stages" / "2-second")[-1]
    assert f"| second | 3 | 0.05 to {last['rate']:g} | {last['cross_entropy']:.3f} | {last['imitation']:.4f} | {last['accuracy']:.1%} |" in text
    spent = rows(text, "Cost")
    assert f"{cost.of_run(run).total:.4g} in all" in spent["Multiply-accumulates"] and spent["Weights"] == f"`{facts['stages'][-1]['model']}`"
    assert f"torch {facts['versions']['torch']}" in spent["Versions"] and spent["Started"] == facts["started"]
    folders = sorted(path.parent.name for path in run.glob("eval/*/metrics.json"))
    assert len(folders) == 2
    for folder in folders:
        part = text.split(f"### {folder}\n")[1].split("### ")[0].split("\n## ")[0]
        found = files.read_json(run / "eval" / folder / "metrics.json")["single"]
        assert f"| Rank-1 (the nearest image shows the person) | {found['rank1']:.2%} |" in part and f"{found['mAP']:.2%}" in part
        assert "12 queries against 24 gallery images" in part and ("not of the last network" in part) == folder.endswith("1-first")
    assert str(run.parent) not in text  # no place on this machine


def test_scores_of_the_other_network_of_a_stage_are_told_as_such(run, capsys):
    used, kept = runs.read_model(run / "stages/2-second/model.safetensors"), run / "stages/2-second/last.safetensors"
    network = runs.network_of(used)
    next(network.parameters()).data += 1
    runs.save_model(kept, network, used.model, used.size, used.labels)
    evaluation.run(["--checkpoint", str(kept), "--device", "cpu"])
    assert "These are scores of last.safetensors of the stage second, not of the last network." in written(run)
    kept.unlink()
    assert "These are scores of other weights than the run holds now." in written(run)


def test_the_head_is_what_the_hub_reads(run, capsys):
    from huggingface_hub import ModelCard

    evaluation.run(["--checkpoint", str(run), "--device", "cpu"])
    written(run, "--license", "cc-by-nc-4.0")
    found = ModelCard.load(run / "README.md").data
    assert found.license == "cc-by-nc-4.0" and found.datasets == [runs.read_facts(run)["dataset"]] and "person-re-identification" in found.tags
    (path,) = run.glob("eval/*/metrics.json")
    scores = {result.metric_type: result.metric_value for result in found.eval_results}
    assert scores["mAP"] == pytest.approx(files.read_json(path)["single"]["mAP"], abs=1e-6) and set(found.metrics) == set(scores)


def test_what_was_not_recorded_is_said(run, capsys):
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(re.sub(r"  erase: .*\n", "", config))
    text = written(run)
    assert rows(text, "Recipe")["Random erasing, probability"] == "not recorded" and rows(text, "Recipe")["Flip, probability"] == "0.5"
    assert "Not recorded: the run was not scored" in text and "was not measured. It is by `reid-srdl calibrate`" in text
    assert "Of the weights: not recorded" in text and "license: other" in text
    assert f"eval --checkpoint '{run}'" in capsys.readouterr().out


def test_calibration_and_its_thresholds(run, capsys):
    model = runs.read_facts(run)["stages"][-1]["model"]
    facts = {
        "eer": 0.125, "eer_threshold": 4.5, "eer_low": 0.1, "eer_high": 0.15, "dataset": "people", "split": "val",
        "pairs": {"genuine": 1234, "impostor": 99999, "identities": 17}, "tpr_at_fpr": {"0.1": {"tpr": 0.8, "low": 0.7, "high": 0.9}, "0.0001": None},
        "camera_pairs": [{"cameras": [1, 2], "genuine": 9, "impostor": 9, "eer": 0.3}, {"cameras": [1, 3], "genuine": 9, "impostor": 9, "eer": 0.05}],
    }  # fmt: skip
    made = Calibration(model, "euclidean", False, np.array([0.0, 10.0]), np.array([3.0, -3.0]), 0.5, facts)
    made.save(run / "calibration.json")
    text = written(run)
    found = rows(text, "Calibration")
    assert found["Equal error rate"] == "12.50% (10.00% to 15.00%)" and found["TPR at FPR 0.1"] == "80.00% (70.00% to 90.00%)"
    assert found["Distance at probability 0.5"] == "5" and found["Distance at probability 0.9"] == f"{made.threshold(0.9):.4g}"
    assert found["Distance at probability 0.99"] == "none is that sure" and found["TPR at FPR 0.0001"] == "too few pairs"
    assert "1,234 genuine and 99,999 impostor pairs of 17 people" in text and "highest between 1 and 2 (30.0%), and lowest between 1 and 3 (5.0%)." in text
    assert "other weights than the run has now" not in text
    Calibration("e" * 64, "euclidean", False, made.distances, made.log_odds, 0.5, facts).save(run / "calibration.json")
    assert "other weights than the run has now" in written(run)
    first = runs.read_facts(run)["stages"][0]["model"]
    Calibration(first, "euclidean", False, made.distances, made.log_odds, 0.5, facts).save(run / "calibration.json")
    assert "**These figures are of the stage first, not of the last network.**" in written(run)


def test_three_lines_load_it(run, monkeypatch, people, capsys):
    monkeypatch.chdir(run.parent)
    snippet = re.search(r"```python\n(.*?)```", written(run), re.DOTALL).group(1)
    assert len([line for line in snippet.splitlines() if line]) <= 3
    names = dict(zip(('"a.jpg"', '"b.jpg"'), (repr(str(file)) for file in people.query.files), strict=False))
    for name, file in names.items():
        snippet = snippet.replace(name, file)
    scope: dict = {}
    exec(snippet, scope)
    assert scope["vectors"].shape == (2, 16)


def test_unfinished_runs_and_bad_words_write_nothing(run, tmp_path, capsys):
    facts = runs.read_facts(run)
    files.write_json(run / runs.FACTS, facts | {"finished": False})
    with pytest.raises(UserError, match="not finished"):
        card.run([str(run)])
    with pytest.raises(UserError, match="no run folder"):
        card.run([str(tmp_path / "nothing")])
    with pytest.raises(UserError, match="needs the run folder"):
        card.run(["--output", "x.md"])
    with pytest.raises(UserError, match="no identifier"):
        card.run([str(run), "--license", "Apache 2"])
    assert not (run / "README.md").exists()
    files.write_json(run / runs.FACTS, facts)
    card.run([str(run), "--output", str(tmp_path / "card.md")])
    assert (tmp_path / "card.md").is_file() and not (run / "README.md").exists()


def test_classes_are_told_as_classes(run, capsys):
    files.write_json(run / runs.FACTS, runs.read_facts(run) | {"kind": "classes", "dataset": "trees"})
    files.write_json(run / "eval/trees/metrics.json", {"protocol": {"dataset": "trees", "images": 10, "classes": 6}, "classification": {"top1": 0.9312, "loss": 0.25}})
    text = written(run)
    assert "93.12%" in text and "image-classification" in text and "6 classes" in text and "10 test images of 6 classes." in text
    assert "## Calibration" not in text and "Re-identification follows people" not in text
    for classes in (5, 6):
        files.write_json(run / "eval/trees/metrics.json", {"protocol": {"dataset": "trees", "images": 10, "classes": classes}, "classification": {"top1": 0.9312, "top5": 1.0}})
        assert (classes > 5) == ("Top-5" in written(run)) == ("top5" in written(run))


def test_the_sets_that_a_run_was_trained_on_are_its_own(run, capsys):
    evaluation.run(["--checkpoint", str(run), "--device", "cpu"])
    scored = next((run / "eval").glob("*/metrics.json"))
    name = files.read_json(scored)["protocol"]["dataset"]
    facts = runs.read_facts(run)
    files.write_json(run / runs.FACTS, {**facts, "dataset": f"{name}+market1501"})
    assert "It was scored on no data set but its own" in written(run)
    files.write_json(run / runs.FACTS, {**facts, "dataset": "dukemtmc+market1501"})
    assert f"Beside its own data set it was scored on {name};" in written(run)
