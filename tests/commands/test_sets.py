"""Which sets are scored, and one run on several sets from training to report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from reid_srdl import runs
from reid_srdl.commands import data as checking
from reid_srdl.commands import eval as command
from reid_srdl.commands import report, sets, train
from reid_srdl.config import Config
from reid_srdl.data.synthetic import Spec, render
from reid_srdl.errors import UserError

SPLITS = {"bounding_box_train": (range(1, 5), 2), "query": (range(11, 14), 1), "bounding_box_test": (range(11, 14), 2)}


def plant(folder: Path, seed: int) -> None:
    """People in Market-1501's layout, four to train on and three to find, by two cameras."""
    rng = np.random.default_rng(seed)
    for inner, (people, shots) in SPLITS.items():
        for person in people:
            colour = np.random.default_rng(100 * seed + person).uniform(30, 225, 3)
            for camera in (1, 2):
                for shot in range(shots):
                    file = folder / inner / f"{person:04}_c{camera}s1_{shot:06}_00.png"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(file), (colour + rng.normal(0, 25, (32, 16, 3))).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    plant(folder / "market1501", 1)
    plant(folder / "dukemtmc", 2)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture
def run(root, place, monkeypatch) -> Path:
    """A run of one short stage on both sets, with a person of each held out."""
    monkeypatch.chdir(place)
    if not (place / "run").is_dir():
        train.run([
            "--dataset", "market1501+dukemtmc", "--data_root", str(root), "--output", "run", "--plan.name", "vanilla", "--plan.epochs", "2", "--model.backbone", "small",
            "--model.weights", "none", "--data.height", "32", "--data.width", "16", "--data.batch", "8", "--data.holdout_identities", "1", "--eval_every", "1",
            "--device", "cpu", "--threads", "1", "--precision", "fp32",
        ])  # fmt: skip
    return place / "run"


def scores(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_on_several_sets_is_scored_on_each(run, root):
    facts = runs.read_facts(run)
    assert facts["dataset"] == "market1501+dukemtmc" and (facts["images"], facts["identities"]) == (24, 6)  # 2 x 3 people of 2 cameras, 2 images each
    assert sorted(path.name for path in (run / "eval").iterdir()) == ["dukemtmc", "market1501"]
    for name in ("market1501", "dukemtmc"):
        stamp = scores(run / "eval" / name)["protocol"]
        assert stamp["dataset"] == name and (stamp["queries"], stamp["gallery"]) == (6, 12)
    page = (run / "report.html").read_text()
    assert "Scores on market1501" in page and "market1501+dukemtmc" in page


def test_during_training_the_mean_over_the_sets_is_logged(run, root):
    rows = runs.read_log(runs.finished_stages(run)[0])
    command.run(["--checkpoint", str(run), "--split", "val", "--device", "cpu", "--data_root", str(root)])
    found = [scores(run / "eval" / f"{name}-val") for name in ("market1501", "dukemtmc")]
    assert [one["protocol"]["queries"] for one in found] == [2, 2]
    assert rows[-1]["val_mAP"] == pytest.approx(np.mean([one["single"]["mAP"] for one in found]))


def test_each_report_shows_its_own_pictures(run, capsys):
    for name in ("market1501", "dukemtmc"):
        report.run([str(run), "--dataset", name, "--output", f"{name}.html", "--parts", "quick"])
        page = Path(f"{name}.html").read_text()
        assert f"Scores on {name}" in page and "data:image/" in page
    assert "without pictures" not in capsys.readouterr().err


def test_sets_are_scored_one_by_one_and_shown_together(run, root, capsys, tmp_path):
    plant(tmp_path / "market1501", 3)
    command.run(["--checkpoint", str(run), "--dataset", "dukemtmc, market1501", "--data_root", str(root), "--output", "both"])
    out = capsys.readouterr().out
    table = out[out.index("Trained on market1501+dukemtmc") :]
    assert "tested on" in table and table.index("│ dukemtmc ") < table.index("│ market1501 ") and max(map(len, table.splitlines())) <= 80
    assert scores(Path("both/dukemtmc"))["single"] == scores(run / "eval/dukemtmc")["single"]
    # Of all published sets one is there; the others are named.
    command.run(["--checkpoint", str(run), "--dataset", "all", "--data_root", str(tmp_path), "--output", "all"])
    out = capsys.readouterr().out
    assert "tested on" not in out and "Not there: msmt17 (MSMT17 is not in" in out and "Not there: dukemtmc" in out
    assert not any(f"Not there: {name} (" in out for name in ("folder", "csv", "synthetic", "cifar10", "market1501"))
    assert scores(Path("all"))["protocol"]["dataset"] == "market1501"


def test_other_sets_are_looked_for_beside_the_run_s_own(run, root, capsys):
    plant(root / "cuhk03-np" / "detected", 4)
    command.run(["--checkpoint", str(run), "--dataset", "cuhk03", "--output", "beside", "--no_save"])
    assert scores(Path("beside"))["protocol"]["queries"] == 6
    with pytest.raises(UserError, match="MSMT17 is not in datasets"):
        command.run(["--checkpoint", str(run), "--dataset", "msmt17"])
    with pytest.raises(UserError, match="CUHK03 .* is not in elsewhere"):
        command.run(["--checkpoint", str(run), "--dataset", "cuhk03", "--data_root", "elsewhere"])


def test_who_was_held_out_limits_only_the_split_of_them(run, root, tmp_path):
    path = shutil.copytree(run, tmp_path / "run") / "config.yaml"
    path.write_text(path.read_text().replace("holdout_identities: 1", "holdout_identities: 5"))
    asked = ["--checkpoint", str(tmp_path / "run"), "--dataset", "market1501", "--data_root", str(root), "--no_save"]
    command.run([*asked, "--output", "fewer"])
    assert scores(Path("fewer"))["protocol"]["queries"] == 6
    with pytest.raises(UserError, match="4 training identities; 1 to train and 5 to hold out do not fit.*--split test"):
        command.run([*asked, "--split", "val"])


def test_nothing_is_scored_where_one_of_several_cannot_be(run, root):
    plant(root / "cuhk03-np" / "detected", 4)
    boxes = root / "market1501" / "gt_bbox"
    shutil.copytree(root / "market1501" / "query", boxes)
    for sets_asked, words, why in (("market1501,cuhk03", ["--split", "val"], "no training people were held out"), ("market1501,dukemtmc", ["--query", "multi"], "dukemtmc has no multi-query")):
        with pytest.raises(UserError, match=why):
            command.run(["--checkpoint", str(run), "--dataset", sets_asked, "--data_root", str(root), "--output", "none", *words])
    shutil.rmtree(boxes)
    assert not Path("none").exists()


def test_nothing_is_scored_where_a_set_is_missing(run, root):
    for asked, words in ((",", "--dataset , names no data set"), ("market1501,msmt17", "MSMT17 is not in"), ("market1501,dukemtcm", "no data set 'dukemtcm'.*dukemtmc")):
        with pytest.raises(UserError, match=words):
            command.run(["--checkpoint", str(run), "--dataset", asked, "--data_root", str(root), "--output", "none"])
    with pytest.raises(UserError, match="none of the data sets is there"):
        command.run(["--checkpoint", str(run), "--dataset", "all", "--data_root", str(root / "nowhere")])
    assert not Path("none").exists()


def test_all_that_is_there_is_no_reason_to_render_more(tmp_path):
    plant(tmp_path / "market1501", 3)
    trained = SimpleNamespace(config=Config(dataset="synthetic"))
    found = sets.asked(trained, "all", str(tmp_path))
    assert list(found.sets) == ["market1501"] and found.absent["synthetic"] == f"it has not been rendered in {tmp_path}"
    with pytest.raises(UserError, match="none of the data sets is there: it has not been rendered in"):
        sets.asked(trained, "all", str(tmp_path / "nowhere"))
    assert [path.name for path in tmp_path.iterdir()] == ["market1501"]
    render(tmp_path / "synthetic", Spec(train_identities=2, test_identities=2, cameras=2, shots=2, multi_query=1, distractors=2, junk=2))
    assert list(sets.asked(trained, "all", str(tmp_path)).sets) == ["synthetic", "market1501"]


def test_the_doctor_looks_at_all_parts(root, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    assert checking.run(["check", "market1501+dukemtmc", "--data_root", str(root), "--output", "check"]) == 0
    found = json.loads(Path("check/findings.json").read_text())
    assert {row["name"]: (row["images"], row["identities"], row["cameras"]) for row in found["counts"]} == {
        "train": (32, 8, 4), "query": (12, 6, 4), "gallery": (24, 6, 4),
        "market1501: train": (16, 4, 2), "market1501: query": (6, 3, 2), "market1501: gallery": (12, 3, 2),
        "dukemtmc: train": (16, 4, 2), "dukemtmc: query": (6, 3, 2), "dukemtmc: gallery": (12, 3, 2),
    }  # fmt: skip
    with pytest.raises(UserError, match=r"no data set 'dukemtcm'\. Did you mean dukemtmc"):
        checking.run(["check", "market1501+dukemtcm", "--data_root", str(root)])


def test_where_sets_are_looked_for(monkeypatch):
    monkeypatch.delenv("REID_DATA", raising=False)
    from reid_srdl.config import Config

    both = Config(dataset="market1501+dukemtmc", data_root="there")
    assert sets.is_own(both, "dukemtmc") and sets.is_own(both, "market1501+dukemtmc") and not sets.is_own(both, "msmt17") and not sets.is_own(None, "msmt17")
    assert sets.roots(both, "dukemtmc", None) == [Path("there")] and sets.roots(both, "dukemtmc", "here") == [Path("here")]
    assert sets.roots(both, "msmt17", None) == [Path("datasets"), Path("there")] and sets.roots(both, "msmt17", "here") == [Path("here")]
    assert sets.roots(Config(dataset="folder", data_root="photos"), "msmt17", None) == [Path("datasets")] == sets.roots(None, "msmt17", None)
