"""``train`` on a classification set, from images to the report, and what comes after: ``eval`` and ``report``."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import config, files, runs
from reid_srdl.commands import eval as evaluation
from reid_srdl.commands import report, train
from reid_srdl.errors import UserError
from reid_srdl.evaluation import predictions

from ..conftest import SIZE, write_person

NAMES = ("ash", "beech", "cedar", "douglas fir", "elm", "fig")
SCORES = {"top1", "top5", "loss", "ece"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Images of 6 classes, each in a colour of its own: 8 to train on, 3 to test."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for label, name in enumerate(NAMES):
        colour = np.random.default_rng(label + 1).uniform(30, 225, 3)
        for split, count in (("train", 8), ("test", 3)):
            for shot in range(count):
                write_person(root / split / name / f"{shot}.png", colour, rng)
    return root


@pytest.fixture
def argv(photos, tmp_path, monkeypatch) -> list[str]:
    """Of a run that takes a second."""
    monkeypatch.chdir(tmp_path)
    return [
        "--dataset", "image-folder", "--data_root", str(photos), "--output", "runs/run", "--device", "cpu", "--threads", "1", "--precision", "fp32",
        "--model.backbone", "small", "--model.weights", "none", "--data.height", str(SIZE[0]), "--data.width", str(SIZE[1]), "--data.batch", "12",
        "--optimiser.rate", "0.05", "--plan.epochs", "6", "--log.tensorboard", "false",
    ]  # fmt: skip


def metrics(name: str) -> dict:
    return files.read_json(Path("runs/run/eval") / name / "metrics.json")


def test_from_images_to_the_report(argv, capsys):
    assert train.run([*argv, "--log.eval_every", "3", "--data.holdout_per_class", "2"]) == 0
    found = metrics("image-folder")
    assert list(found) == ["protocol", "classification"] and found["classification"].keys() == SCORES
    assert found["protocol"]["images"] == 18 and found["protocol"]["classes"] == 6 and found["protocol"]["split"] == "test"
    assert found["protocol"]["checkpoint"] == runs.read_facts(Path("runs/run"))["stages"][1]["model"]
    said = predictions.load("runs/run/eval/image-folder/predictions.npz")
    assert said.names == NAMES and said.right.mean() == pytest.approx(found["classification"]["top1"])
    # 36 images are left to train on; the 12 held-out ones are scored after every third epoch of a stage.
    assert runs.read_facts(Path("runs/run"))["images"] == 36
    rows = runs.read_log(Path("runs/run/stages/2-second"))
    assert [row["val_top1"] is None for row in rows] == [True, True, False] and rows[2]["val_mAP"] is None
    assert evaluation.run(["--checkpoint", "runs/run", "--split", "val", "--device", "cpu"]) == 0
    on_held_out = metrics("image-folder-val")["classification"]
    assert on_held_out["loss"] == pytest.approx(rows[2]["val_loss"], rel=1e-4) and on_held_out["top1"] == pytest.approx(rows[2]["val_top1"])
    assert on_held_out["loss"] != pytest.approx(found["classification"]["loss"], rel=1e-3), "else it would not matter which are scored"
    # The first stage is scored beside it, so that their calibration can be compared.
    first = metrics("image-folder-1-first")
    assert first["protocol"]["checkpoint"] == runs.read_facts(Path("runs/run"))["stages"][0]["model"]
    assert files.read_json("runs/run/stages/1-first/diagnostics.json")["last_network"]["images"] == 36
    printed = capsys.readouterr().out
    assert "top-1" in printed and "18 test images of 6 classes." in printed and "Report: runs/run/report.html" in printed
    page = Path("runs/run/report.html").read_text()
    for part in ("Scores on image-folder", "Soft targets", "Reliability", "Where it errs", "6 classes", "First stage"):
        assert part in page


def test_what_is_not_installed_is_told_before_a_data_set_is_made(argv, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"Weights & Biases is not installed .*pip install 'reid-srdl\[wandb\]'"):
        train.run([*argv, "--dataset", "synthetic", "--data_root", str(tmp_path / "sets"), "--log.wandb", "true"])
    assert not list(tmp_path.iterdir())


def test_the_held_out_images_or_nothing_can_be_scored(argv, capsys):
    train.run([*argv, "--evaluate", "val", "--data.holdout_per_class", "2", "--log.diagnostics", "false"])
    assert metrics("image-folder-val")["protocol"]["images"] == 12
    assert [path.name for path in Path("runs/run/eval").iterdir()] == ["image-folder-val"]
    assert "Scores on image-folder-val" in Path("runs/run/report.html").read_text()
    train.run([*argv, "--evaluate", "none", "--output", "runs/none"])
    assert not Path("runs/none/eval").exists() and "reid-srdl eval --checkpoint runs/none" in Path("runs/none/report.html").read_text()
    capsys.readouterr()
    train.run(["--resume", "runs/none"])
    assert re.search("finished: it was not scored, .*\nTo score it: .*eval --checkpoint runs/none", capsys.readouterr().out)
    with pytest.raises(UserError, match="no held-out images"):
        train.run([*argv, "--evaluate", "val", "--output", "runs/other"])
    assert not Path("runs/other").exists()


def test_stages_and_other_runs_are_scored_together(argv, capsys):
    train.run(argv)
    train.run([*argv, "--seed", "1", "--output", "runs/other", "--evaluate", "none"])
    capsys.readouterr()
    evaluation.run(["--checkpoint", "runs/run", "--ensemble", "--flip", "--device", "cpu"])
    found = metrics("image-folder-flip")
    assert list(found) == ["protocol", "classification", "ensemble"] and found["ensemble"].keys() == SCORES
    stages = [stage["model"] for stage in runs.read_facts(Path("runs/run"))["stages"]]
    assert sorted(found["protocol"]["ensemble"]["checkpoints"]) == sorted(stages) and found["protocol"]["ensemble"]["passes_per_image"] == 4
    assert "ensemble" in capsys.readouterr().out
    evaluation.run(["--checkpoint", "runs/run", "--members", "runs/other", "runs/run/stages/1-first", "--device", "cpu", "--output", "together"])
    together = files.read_json("together/metrics.json")
    other = runs.read_facts(Path("runs/other"))["stages"][1]["model"]
    assert together["protocol"]["ensemble"]["checkpoints"] == [stages[1], other, stages[0]]
    with pytest.raises(UserError, match="is the same network"):
        evaluation.run(["--checkpoint", "runs/run", "--members", "runs/run/stages/2-second"])
    with pytest.raises(UserError, match="--members names no network"):
        evaluation.run(["--checkpoint", "runs/run", "--members"])


def test_options_of_ranking_mean_nothing_here(argv, people):
    train.run([*argv, "--plan.name", "vanilla", "--plan.epochs", "1", "--evaluate", "none"])
    for option in (["--query", "multi"], ["--metric", "cosine"], ["--engine", "faiss"], ["--ignore_camera"], ["--multi_query", "max"], ["--rerank_k1", "5"]):
        with pytest.raises(UserError, match=f"a classification set: there are no queries for {option[0]}"):
            evaluation.run(["--checkpoint", "runs/run", *option])
    with pytest.raises(UserError, match="one stage only"):
        evaluation.run(["--checkpoint", "runs/run", "--ensemble"])
    with pytest.raises(UserError, match="no held-out images"):
        evaluation.run(["--checkpoint", "runs/run", "--split", "val"])
    assert not Path("runs/run/eval").exists()


def test_other_classes_are_refused(argv, photos, tmp_path):
    train.run([*argv, "--plan.name", "vanilla", "--plan.epochs", "1", "--evaluate", "none"])
    for split in ("train", "test"):
        (tmp_path / "fewer" / split).mkdir(parents=True)
        for name in NAMES[:4]:
            (tmp_path / "fewer" / split / name).symlink_to(photos / split / name)
    with pytest.raises(UserError, match="6 labels, which are not the 4 of image-folder"):
        evaluation.run(["--checkpoint", "runs/run", "--data_root", "fewer"])


def test_the_report_without_predictions_or_pictures_says_how_to_fill_it(argv, photos, monkeypatch):
    train.run(argv)
    assert report.run(["runs/run", "--data_root", "nowhere"]) == 0
    page = Path("runs/run/report.html").read_text()
    assert "<img" not in page and (re.search(r"all of 18 images are right", page) or "--data_root DIR" in page)
    evaluation.run(["--checkpoint", "runs/run", "--no_save", "--device", "cpu"])
    report.run(["runs/run"])
    page = Path("runs/run/report.html").read_text()
    assert "was not kept" in page and "reid-srdl eval --checkpoint runs/run" in page


def test_a_run_is_taken_up_again_in_another_folder(argv, photos, tmp_path, monkeypatch):
    """The data root was said relative to where the run began."""
    relative = argv.copy()
    relative[relative.index("--data_root") + 1] = "photos"
    (tmp_path / "photos").symlink_to(photos)
    train.run(relative)
    assert config.load("runs/run/config.yaml").data_root == str(tmp_path / "photos")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    report = tmp_path / "runs/run/report.html"
    report.unlink()  # as where it was broken off at the very end
    assert train.run(["--resume", str(tmp_path / "runs/run")]) == 0 and report.is_file()


def test_a_run_goes_on_where_its_data_have_moved(argv, photos, tmp_path):
    argv[argv.index("--data_root") + 1] = "old"
    (tmp_path / "old").symlink_to(photos)
    train.run([*argv, "--plan.name", "vanilla", "--plan.epochs", "1"])
    (tmp_path / "old").rename(tmp_path / "new")
    Path("runs/run/report.html").unlink()  # as where it was broken off at the very end
    with pytest.raises(UserError, match="old"):
        train.run(["--resume", "runs/run"])
    assert train.run(["--resume", "runs/run", "--data_root", "new"]) == 0 and Path("runs/run/report.html").is_file()
    assert config.load("runs/run/config.yaml").data_root == str(tmp_path / "new"), "where eval and report look from now on"


def test_a_run_that_is_whole_is_left_as_it_is(argv, monkeypatch, capsys):
    train.run(argv)
    monkeypatch.setattr(train, "data_of", lambda config: pytest.fail("the data set was read"))
    capsys.readouterr()
    assert train.run(["--resume", "runs/run"]) == 0
    out = capsys.readouterr().out
    assert "The run in runs/run is finished: its scores are in runs/run/eval" in out and "eval --checkpoint runs/run" in out


@pytest.mark.parametrize("stage", ["1-first", "2-second"])
@pytest.mark.parametrize("stored", [True, False])
def test_a_deleted_stage_of_a_run_that_was_whole_comes_back_as_it_was(argv, capsys, stage, stored):
    """Which is the way out that a damaged network is named with."""
    train.run(argv)
    run = Path("runs/run")
    before = {path: path.read_bytes() for path in run.rglob("*.safetensors")}
    (run / "stages" / stage / runs.MODEL).unlink()
    if not stored:
        shutil.rmtree("runs/.stages")
    capsys.readouterr()
    assert train.run(["--resume", "runs/run"]) == 0
    assert ("taken from an earlier run" in capsys.readouterr().err) == stored
    assert {path: path.read_bytes() for path in run.rglob("*.safetensors")} == before
    assert metrics("image-folder")["protocol"]["checkpoint"] == runs.read_facts(run)["stages"][1]["model"] and not (run / runs.RESUME).exists()


@pytest.mark.parametrize("form", [["--resume", "RUN", "--device", "cpu"], ["--resume=RUN", "--device=cpu"], ["--device", "cpu", "--resume", "RUN"]])
def test_a_run_goes_on_on_another_device(argv, tmp_path, form):
    begun = config.parse(config.Config, [*argv, "--device", "cuda"], "train")
    config.save(begun, tmp_path / "config.yaml")
    asked, resumed = train._asked([word.replace("RUN", str(tmp_path)) for word in form])
    assert resumed and asked.device == "cpu" and asked.output == str(tmp_path) and asked.plan == begun.plan
    assert train._asked(["--resume", str(tmp_path)])[0].device == "cuda"
    for wrong in (["--resume"], ["--resume="], ["--resume", str(tmp_path), "--seed", "3"], ["--resume", str(tmp_path), "--device"], ["--seed", "3", "--resume", str(tmp_path)], [str(tmp_path), "--resume"]):
        with pytest.raises(UserError, match="--resume takes one run folder, and at most --device"):
            train._asked(wrong)


def test_a_bad_test_image_stops_it_before_the_first_step(argv, photos, tmp_path):
    spoilt = shutil.copytree(photos, tmp_path / "spoilt")
    bad = spoilt / "test" / "cedar" / "1.png"
    bad.write_bytes(bad.read_bytes()[:200])
    argv[argv.index("--data_root") + 1] = str(spoilt)
    with pytest.raises(UserError, match="1 of the 18 images to be scored") as error:
        train.run(argv)
    assert str(bad) in error.value.message and not Path("runs").exists()


def test_files_that_a_run_needs_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").touch()
    asked = config.parse(config.Config, ["--data_root", "data", "--model.weights", "w.pth", "--plan.teacher.checkpoint", "runs/teacher"], "train")
    there = train._from_anywhere(asked)
    assert (there.data_root, there.model.weights, there.plan.teacher.checkpoint) == tuple(str(tmp_path / name) for name in ("data", "w.pth", "runs/teacher"))
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = config.parse(config.Config, ["--model.weights=~/w.pth", "--plan.teacher.checkpoint=~/teacher", "--plan.teacher.weights=~/w.pth"], "train")
    there = train._from_anywhere(at_home)
    assert there.model.weights == there.plan.teacher.weights == str(tmp_path / "w.pth") and there.plan.teacher.checkpoint == str(tmp_path / "teacher")
    unchanged = train._from_anywhere(config.Config())
    assert unchanged.data_root == str(tmp_path / "datasets") and unchanged.model.weights == "imagenet" and unchanged.plan.teacher.weights == "imagenet"


def test_an_interrupted_run_says_how_it_goes_on(argv, monkeypatch, capsys):
    def interrupted(config, data, **others):
        files.write_text(Path(config.output) / runs.CONFIG, "")
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.run([*argv, "--output", "runs/my run"])
    assert "reid-srdl train --resume 'runs/my run'" in capsys.readouterr().out


def test_a_plan_or_folder_that_cannot_be_is_said_before_any_image_is_looked_at(argv, monkeypatch):
    monkeypatch.setattr(train, "data_of", lambda config: pytest.fail("the data set was read"))
    with pytest.raises(UserError, match="no plan 'sdrl'"):
        train.run([*argv, "--plan.name", "sdrl"])
    files.write_text("runs/other/notes.txt", "mine")
    with pytest.raises(UserError, match="not empty"):
        train.run([*argv, "--output", "runs/other"])


def test_a_run_that_fails_says_how_it_goes_on_once_that_is_mended(argv, monkeypatch, capsys):
    def failing(config, data, **others):
        files.write_text(Path(config.output) / runs.CONFIG, "")
        files.write_json(Path(config.output) / runs.FACTS, {"finished": False, "stages": [{"folder": "1-first"}], **({"diverged": "first"} if "diverged" in config.output else {})})
        raise UserError("an image is gone")

    monkeypatch.setattr(train, "train", failing)
    line = "Once that is mended, the run goes on where it was with: reid-srdl train --resume"
    for name, told in (("one", True), ("diverged", False)):
        with pytest.raises(UserError, match="an image is gone"):
            train.run([*argv, "--output", f"runs/{name}"])
        assert (f"{line} runs/{name}" in capsys.readouterr().err) is told
    # A folder that is another run's is none that goes on.
    monkeypatch.setattr(train, "train", lambda *given, **others: (_ for _ in ()).throw(UserError("runs/one holds another run")))
    os.utime("runs/one/config.yaml", (1, 1))
    with pytest.raises(UserError):
        train.run([*argv, "--output", "runs/one"])
    assert line not in capsys.readouterr().err
