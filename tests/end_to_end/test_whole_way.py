"""The whole way, as a user goes it: train, do what the output says comes next, score otherwise, take embeddings away, train again."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from .conftest import SMALL, environment

# Small batches: with fewer steps the statistics of BatchNorm are still those of no network, and all embeddings nearly the same.
TRAIN = [*SMALL, "--model.backbone", "shufflenet_v2_x0_5", "--plan.epochs", "4", "--data.batch", "6"]
SCORES = {"rank1", "rank5", "rank10", "rank20", "mAP", "mAP_trapezoid", "mINP"}

pytestmark = [pytest.mark.slow, pytest.mark.soak]


class Shell:
    """Commands in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def python(self, *argv: object) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, *map(str, argv)], cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{argv}: code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def reid(self, *argv: object) -> subprocess.CompletedProcess:
        return self.python("-m", "reid_srdl", *argv)

    def printed(self, output: str, begins: str = "Next,", **said: object) -> subprocess.CompletedProcess:
        """The command of a line ``Next, …: COMMAND``, word for word; ``said`` stands for the words in capitals."""
        found = re.search(rf"^{begins} .*?: (.*)$", output, re.MULTILINE)
        assert found, output
        program, *words = shlex.split(found[1])
        assert Path(program).name.startswith("python")
        assert not {word for word in words if word.isupper()} - said.keys()
        return self.python(*(said.get(word, word) for word in words))

    def scores(self, folder: str) -> dict:
        return json.loads((self.folder / folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def trained(people, tmp_path_factory) -> tuple[Shell, str]:
    """A finished SRDL run in ``runs/demo``, and what training printed."""
    shell = Shell(tmp_path_factory.mktemp("home"))
    done = shell.reid("train", *TRAIN, "--data-root", people.train.root, "--output", "runs/demo")
    return shell, done.stdout


@pytest.fixture
def shell(trained) -> Shell:
    return trained[0]


def test_what_training_leaves(trained, people):
    shell, printed = trained
    run = shell.folder / "runs/demo"
    assert "The run is in runs/demo" in printed and "Rank-1" in printed and "Report: runs/demo/report.html" in printed
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "run.json", "stages", "eval", "report.html"}
    assert not (run / "resume.pt").exists()
    assert [path.name for path in sorted((run / "stages").iterdir())] == ["1-first", "2-second"]
    found = shell.scores("runs/demo/eval/folder")
    assert list(found) == ["protocol", "single"] and found["single"].keys() >= SCORES
    assert all(0.5 < found["single"][name] <= 1 for name in SCORES)  # people in one colour each are easily told apart
    stamp = found["protocol"]
    assert (stamp["queries"], stamp["gallery"], stamp["junk_removed"], stamp["distractors"]) == (12, 24, 0, 0)
    assert stamp["metric"] == "euclidean" and stamp["flip"] is False and stamp["queries_without_match"] == 0
    assert {"normalisation", "mAP", "mAP_trapezoid", "checkpoint"} <= stamp.keys()


def test_the_report_needs_nothing_outside(shell):
    page = (shell.folder / "runs/demo/report.html").read_text()
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#|["'])""", page)
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)  # the names of SVG's own language are no links
    assert "mAP" in page and "data:image/" in page and "shufflenet_v2_x0_5" in html.unescape(page)


def test_the_printed_commands_work_as_they_are_printed(trained, people):
    """From training to embeddings, to an index and to scores of them, to the report of a run."""
    shell, printed = trained
    photos = {"DIR": people.gallery.root / "gallery", "FILE": "photos.npz"}
    embedded = shell.printed(printed, **photos)
    assert (shell.folder / "embeddings.npz").is_file()
    shell.reid("embed", "--checkpoint", "runs/demo", "--images", people.query.root / "query", "--output", "query.npz")
    indexed = shell.printed(embedded.stdout)
    assert "gallery.index holds 24 images" in indexed.stdout
    searched = shell.printed(indexed.stdout, RUN="runs/demo", IMAGE_OR_FOLDER=people.query.root / "query")
    assert "distance" in searched.stdout
    scored = shell.printed(embedded.stdout, "Or", QUERY="query.npz", GALLERY="embeddings.npz")
    assert "Rank-1" in scored.stdout
    again = shell.reid("eval", "--checkpoint", "runs/demo")
    reported = shell.printed(again.stdout)
    assert "report.html" in reported.stdout
    shell.printed(reported.stdout, **photos)


def test_embeddings_taken_away_score_as_the_run_does(shell):
    shell.reid("eval", "--checkpoint", "runs/demo", "--output", "own")
    files = ["runs/demo/eval/folder/query.npz", "runs/demo/eval/folder/gallery.npz"]
    shell.reid("eval", "--embeddings", *files, "--output", "theirs")
    ours, theirs = shell.scores("own"), shell.scores("theirs")
    assert theirs["single"] == ours["single"] == shell.scores("runs/demo/eval/folder")["single"]
    assert theirs["protocol"]["files"] == [str((shell.folder / file).resolve()) for file in files]
    assert theirs["protocol"]["checkpoint"] == ours["protocol"]["checkpoint"]


def test_scored_otherwise_with_both_stages(shell):
    pytest.importorskip("faiss")
    argv = ["eval", "--checkpoint", "runs/demo", "--flip", "--metric", "cosine", "--ensemble"]
    shell.reid(*argv, "--engine", "faiss", "--output", "faiss")
    shell.reid(*argv, "--output", "exact")
    found, exact = shell.scores("faiss"), shell.scores("exact")
    assert list(found) == ["protocol", "single", "ensemble"]
    stamp = found["protocol"]
    assert stamp["flip"] is True and stamp["metric"] == "cosine" and stamp["engine"].startswith("faiss")
    assert len(set(stamp["ensemble"]["checkpoints"])) == 2 and stamp["ensemble"]["passes_per_image"] == 4
    for part in ("single", "ensemble"):
        for name in SCORES:
            assert found[part][name] == pytest.approx(exact[part][name], abs=1e-9), (part, name)


def test_an_earlier_stage_is_scored_beside_the_last(shell):
    before = (shell.folder / "runs/demo/eval/folder/metrics.json").read_bytes()
    shell.reid("eval", "--checkpoint", "runs/demo/stages/1-first")
    first = shell.scores("runs/demo/eval/folder-1-first")
    facts = json.loads((shell.folder / "runs/demo/run.json").read_text())
    assert first["protocol"]["checkpoint"] == facts["stages"][0]["model"] != facts["stages"][1]["model"]
    assert (shell.folder / "runs/demo/eval/folder/metrics.json").read_bytes() == before


def test_embeddings_in_either_file_and_in_python(shell, people, monkeypatch):
    from reid_srdl import Embeddings, embeddings, load

    found = {}
    for suffix in ("npz", "parquet"):
        shell.reid("embed", "--checkpoint", "runs/demo", "--images", people.query.root / "query", "--output", f"taken.{suffix}")
        found[suffix] = embeddings.load(shell.folder / f"taken.{suffix}")
    one, other = found.values()
    assert isinstance(one, Embeddings) and one.vectors.dtype == np.float32 and one.vectors.shape == (12, 1024)
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert one.paths == other.paths == tuple(path.removeprefix("query/") for path in people.query.paths)
    assert one.labels.tolist() == other.labels.tolist() == people.query.labels.tolist()
    monkeypatch.chdir(shell.folder)
    model = load("runs/demo", "cpu")
    assert one.model == other.model == model.model_hash
    np.testing.assert_allclose(model.embed(people.query.files), one.vectors, rtol=1e-4, atol=1e-5)


def test_the_saved_configuration_makes_the_same_run(shell):
    """In another folder, so that no finished stage is at hand."""
    shell.reid("train", "--config", "runs/demo/config.yaml", "--output", "elsewhere/again")
    for stage in ("1-first", "2-second"):
        one, other = (load_file(shell.folder / run / "stages" / stage / "model.safetensors") for run in ("runs/demo", "elsewhere/again"))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert not json.loads((shell.folder / "elsewhere/again/run.json").read_text())["stages"][0]["shared"]
    assert shell.scores("elsewhere/again/eval/folder")["single"] == shell.scores("runs/demo/eval/folder")["single"]


def test_the_printed_configuration_is_a_recipe(shell, people):
    argv = ["train", *TRAIN, "--data-root", people.train.root, "--output", "runs/printed", "--optimiser.weight_decay", "0.001"]
    recipe = shell.reid(*argv, "--print_config").stdout
    assert not (shell.folder / "runs/printed").exists()
    values = yaml.safe_load(recipe)
    assert values["plan"]["epochs"] == 4 and values["optimiser"]["weight_decay"] == 0.001 and values["schedule"]["drops"] == [0.5, 0.75]
    (shell.folder / "mine.yaml").write_text(recipe)
    assert shell.reid("train", "--config", "mine.yaml", "--print_config").stdout == recipe
