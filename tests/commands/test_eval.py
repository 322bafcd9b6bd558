"""``eval``: a run, its stages, and anybody's files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reid_srdl import data, embeddings, runs
from reid_srdl.commands import eval as command
from reid_srdl.commands import sets
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import rank
from reid_srdl.training.run import train


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Where a finished two-stage run is kept, once it is made."""
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def run(finished, config, people, watch, tmp_path, monkeypatch) -> Path:
    """A run of ``people``, which is what every data set is here."""
    if not (finished / "run").is_dir():
        shutil.copytree(train(config, people, watch=watch), finished / "run")
    folder = tmp_path / "copy"
    shutil.copytree(finished / "run", folder)
    monkeypatch.setattr(data, "read", lambda name, root: people)
    return folder


def scores(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_is_scored_into_its_own_folder(run, people, capsys):
    assert command.run(["--checkpoint", str(run), "--device", "cpu"]) == 0
    found = scores(run / "eval" / "synthetic")
    trained = runs.load(run, "cpu")
    expected = rank(trained.embeddings(people.query), trained.embeddings(people.gallery), device="cpu")
    assert expected.scores().items() <= found["single"].items() and list(found) == ["protocol", "single"]
    assert found["protocol"]["checkpoint"] == trained.model_hash and found["protocol"]["flip"] is False
    saved = embeddings.load_pair([run / "eval" / "synthetic" / f"{part}.npz" for part in ("query", "gallery")])
    assert rank(*saved, device="cpu").scores() == expected.scores() and saved[0].paths == people.query.paths
    out = capsys.readouterr().out
    assert "Rank-1" in out and f"reid-srdl report {run}" in out


def test_saved_embeddings_score_alike(run, tmp_path):
    command.run(["--checkpoint", str(run), "--flip"])
    files = [str(run / "eval" / "synthetic-flip" / f"{part}.npz") for part in ("query", "gallery")]
    assert command.run(["--embeddings", *files, "--output", str(tmp_path / "again")]) == 0
    first, again = scores(run / "eval" / "synthetic-flip"), scores(tmp_path / "again")
    assert again["single"] == first["single"] and first["protocol"]["flip"] is True
    assert again["protocol"]["files"] == files and again["protocol"]["checkpoint"] == first["protocol"]["checkpoint"]


def test_embeddings_of_two_networks_have_no_scores(run, tmp_path):
    for checkpoint in (run, run / "stages" / "1-first"):
        command.run(["--checkpoint", str(checkpoint)])
    with pytest.raises(UserError, match="Distances between two networks mean nothing"):
        command.run(["--embeddings", str(run / "eval/synthetic/query.npz"), str(run / "eval/synthetic-1-first/gallery.npz"), "--output", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()


def test_an_earlier_stage_does_not_overwrite_the_runs_scores(run):
    command.run(["--checkpoint", str(run)])
    command.run(["--checkpoint", str(run / "stages" / "1-first"), "--no-save"])
    first = scores(run / "eval" / "synthetic-1-first")
    assert first["protocol"]["checkpoint"] != scores(run / "eval" / "synthetic")["protocol"]["checkpoint"]
    assert sorted(path.name for path in (run / "eval" / "synthetic-1-first").iterdir()) == ["metrics.json"]


def test_the_ensemble_of_the_stages(run, capsys):
    command.run(["--checkpoint", str(run), "--ensemble"])
    found = scores(run / "eval" / "synthetic")
    hashes = [runs.load(stage, "cpu").model_hash for stage in runs.finished_stages(run)]
    assert sorted(found["protocol"]["ensemble"]["checkpoints"]) == sorted(hashes) and set(found["ensemble"]) == set(found["single"])
    assert "ensemble" in capsys.readouterr().out


def test_other_networks_are_scored_together_with_the_first(run, tmp_path):
    shutil.copytree(run / "stages" / "1-first", tmp_path / "other")
    command.run(["--checkpoint", str(run), "--members", str(tmp_path / "other"), "--metric", "cosine"])
    found = scores(run / "eval" / "synthetic-cosine")["protocol"]["ensemble"]
    assert found["checkpoints"] == [runs.load(run, "cpu").model_hash, runs.load(tmp_path / "other", "cpu").model_hash] and found["dimension"] == 32
    with pytest.raises(UserError, match="same network"):
        command.run(["--checkpoint", str(run), "--members", str(run)])


def test_a_result_file_is_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # One query; at distance 1 a wrong person, at 2 the right one: rank 2, AP 1/2.
    scipy.io.savemat("result.mat", {
        "query_f": [[0.0]], "query_label": [[1]], "query_cam": [[1]], "gallery_f": [[2.0], [1.0]], "gallery_label": [[1, 2]], "gallery_cam": [[2, 2]],
    })  # fmt: skip
    assert command.run(["--embeddings", "result.mat"]) == 0
    found = scores(Path("scores/result"))
    assert (found["single"]["rank1"], found["single"]["rank5"], found["single"]["mAP"]) == (0, 1, 0.5)


def test_scores_of_other_embeddings_or_by_other_rules_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = embeddings.Embeddings([[1.0], [2.0]], labels=[1, 2], cameras=[1, 1])
    embeddings.save(made, "q.npz")
    embeddings.save(embeddings.Embeddings([[1.0], [3.0]], labels=[1, 2], cameras=[2, 2]), "g.npz")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "g.npz").write_bytes((tmp_path / "g.npz").read_bytes())
    command.run(["--embeddings", "q.npz", "g.npz"])
    command.run(["--embeddings", "./q.npz", "g.npz"])
    command.run(["--embeddings", "q.npz", "g.npz", "--metric", "cosine"])
    assert scores(Path("scores/q-g"))["protocol"]["metric"] == "euclidean" and scores(Path("scores/q-g-cosine"))["protocol"]["metric"] == "cosine"
    with pytest.raises(UserError, match="scores/q-g holds scores of /.*/q.npz and /.*/g.npz.*--output"):
        command.run(["--embeddings", "q.npz", "b/g.npz"])
    monkeypatch.chdir("b")
    command.run(["--embeddings", "../q.npz", "../g.npz"])
    with pytest.raises(UserError, match="scores/q-g holds scores of /.*/q.npz and /.*/g.npz.*--output"):
        command.run(["--embeddings", "../q.npz", "g.npz"])
    for content in ("[]", '{"protocol": []}', '{"protocol": {"files": 3}}', '{"protocol": {"files": null}}'):
        (tmp_path / "scores/q-g/metrics.json").write_text(content)
        with pytest.raises(UserError, match="scores/q-g holds scores of "):
            command.run(["--embeddings", "../q.npz", "../g.npz"])
    with pytest.raises(UserError, match="0 files of embeddings"):
        command.run(["--embeddings"])


def test_where_scores_cannot_be_kept_they_are_shown_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = embeddings.Embeddings([[1.0]], labels=[1], cameras=[1])
    for name, camera in (("q.npz", 1), ("g.npz", 2)):
        embeddings.save(dataclasses.replace(made, cameras=np.array([camera])), name)
    Path("scores").write_text("a file")
    with pytest.raises(UserError, match="cannot write"):
        command.run(["--embeddings", "q.npz", "g.npz"])
    assert "100.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "either --checkpoint or --embeddings"),
        (["--checkpoint", "a", "--embeddings", "b", "c"], "either --checkpoint or --embeddings"),
        (["--checkpoint", "nowhere"], "there is no checkpoint nowhere"),
        (["--embeddings", "a.npz"], "Give two"),
        (["--embeddings", "a.npz", "b.npz"], r"there is no file a\.npz"),
        (["--metrik", "cosine"], "metric"),
    ],
)
def test_bad_input_is_said(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        command.run(argv)
    assert not list(tmp_path.iterdir())


def test_nan_embeddings_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("q.npz", vectors=[[1.0], [np.nan]], labels=[1, 2], cameras=[1, 1])
    embeddings.save(Embeddings([[1.0]], labels=[1], cameras=[2]), "g.npz")
    with pytest.raises(UserError, match=r"q\.npz: the vector in row 1"):
        command.run(["--embeddings", "q.npz", "g.npz"])


def test_an_unusual_way_of_scoring_takes_no_usual_score_s_place(run, capsys):
    command.run(["--checkpoint", str(run)])
    usual = scores(run / "eval" / "synthetic")
    command.run(["--checkpoint", str(run), "--flip", "--metric", "cosine", "--ignore_camera", "--multi_query", "max"])
    assert scores(run / "eval" / "synthetic") == usual
    assert scores(run / "eval" / "synthetic-flip-cosine-ignore_camera-max")["protocol"]["flip"] is True
    assert f"reid-srdl report {run} --dataset synthetic-flip-cosine-ignore_camera-max" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--flip", "--query=multi", "--dataset=market1501", "--no_save"])
def test_options_of_a_network_are_refused_for_embeddings(option):
    with pytest.raises(UserError, match=f"{option.partition('=')[0]} means nothing"):
        command.run(["--embeddings", "q.npz", "g.npz", option])


def test_the_first_file_may_stand_behind_an_equals_sign(run, tmp_path):
    command.run(["--checkpoint", str(run)])
    kept = run / "eval" / "synthetic"
    command.run([f"--embeddings={kept / 'query.npz'}", str(kept / "gallery.npz"), "--output", str(tmp_path / "again")])
    assert scores(tmp_path / "again")["single"] == scores(kept)["single"]


def test_results_can_be_ranked_again(run):
    command.run(["--checkpoint", str(run), "--rerank", "--rerank_k1", "4", "--rerank_k2", "2", "--expand", "1"])
    found = scores(run / "eval" / "synthetic-expand1-rerank-k1_4-k2_2")
    assert found["protocol"]["rerank"] == {"k1": 4, "k2": 2, "weight": 0.3} and found["protocol"]["expand"] == 1
    for words, message in ((["--rerank", "--engine", "faiss"], "distances of its own"), (["--expand", "-1"], "expand is -1"), (["--rerank", "--rerank_k1", "0"], "rerank_k1 is 0")):
        with pytest.raises(UserError, match=message):
            command.run(["--checkpoint", str(run), *words])


def test_files_of_one_folder_have_scores_of_their_own(run, tmp_path):
    names = ("a.safetensors", "b.safetensors", "model.safetensors")
    for name in names:
        shutil.copyfile(run / "stages/2-second/model.safetensors", tmp_path / name)
        command.run(["--checkpoint", str(tmp_path / name), "--dataset", "people", "--no_save"])
    assert {path.name for path in (tmp_path / "eval").iterdir()} == {"people-a.safetensors", "people-b.safetensors", "people"}


def test_one_s_own_images_of_another_place_take_no_score_s_place(run, tmp_path, monkeypatch):
    """``folder`` is whatever lies in a folder, and a run may be scored on several."""
    config = runs.load(run, "cpu").config
    assert sets.elsewhere(config, "market1501", Path("there")) == ""
    assert sets.elsewhere(config, "folder", Path("datasets")) == "" and sets.elsewhere(config, "folder", tmp_path / "site_b") == "@site_b"
    own = dataclasses.replace(config, dataset="folder", data_root=str(tmp_path / "photos"))
    assert sets.elsewhere(own, "folder", tmp_path / "photos") == "" and sets.elsewhere(own, "folder", tmp_path / "more") == "@more"
    (tmp_path / "photos" / "folder" / "query").mkdir(parents=True)
    assert sets.elsewhere(own, "folder", tmp_path / "photos" / "folder") == "", "among other data sets it has a folder of its own"
    for site in ("site.1", "site.2"):
        (tmp_path / site / "folder" / "query").mkdir(parents=True)
        for root in (tmp_path / site, tmp_path / site / "folder"):
            assert sets.elsewhere(config, "folder", root) == f"@{site}"
    command.run(["--checkpoint", str(run), "--dataset", "folder", "--data_root", str(tmp_path / "site_b"), "--flip"])
    assert (run / "eval" / "folder-flip@site_b" / "metrics.json").is_file() and not (run / "eval" / "folder-flip").exists()
    assert scores(run / "eval" / "folder-flip@site_b")["protocol"]["data_root"] == str(tmp_path / "site_b")
    with pytest.raises(UserError, match="folder-flip@site_b holds scores of .*site_b. Choose another"):
        command.run(["--checkpoint", str(run), "--dataset", "folder", "--data_root", str(tmp_path / "more" / "site_b"), "--flip"])


def test_the_environment_s_place_is_another_one_too(run, tmp_path, monkeypatch):
    monkeypatch.delenv("REID_DATA", raising=False)
    command.run(["--checkpoint", str(run), "--dataset", "folder"])
    before = (run / "eval" / "folder" / "metrics.json").read_bytes()
    monkeypatch.setenv("REID_DATA", str(tmp_path / "site_c"))
    command.run(["--checkpoint", str(run), "--dataset", "folder"])
    assert scores(run / "eval" / "folder@site_c")["protocol"]["data_root"] == str(tmp_path / "site_c")
    assert (run / "eval" / "folder" / "metrics.json").read_bytes() == before
    # The run's own images stay its own: it knows where they are.
    own = dataclasses.replace(runs.load(run, "cpu").config, dataset="folder", data_root=str(tmp_path / "photos"))
    assert sets.elsewhere(own, "folder", sets.roots(own, "folder", None)[0]) == ""
    old = dataclasses.replace(own, data_root=None)
    assert sets.elsewhere(old, "folder", sets.roots(old, "folder", None)[0]) == ""


def test_titles_are_text(run, capsys):
    command.show_together({"a": [("", "Rank-1"), ("single", "1.0")]}, "runs/[/a] of [old]")
    assert "runs/[/a] of [old]" in capsys.readouterr().out


def test_what_only_re_ranking_has_is_refused_without_it(run):
    with pytest.raises(UserError, match="--rerank_k1 means nothing without --rerank"):
        command.run(["--checkpoint", str(run), "--rerank_k1", "5"])


def test_some_of_the_usual_scores_do_not_take_the_place_of_all(run):
    command.run(["--checkpoint", str(run)])
    before = (run / "eval" / "synthetic" / "metrics.json").read_bytes()
    command.run(["--checkpoint", str(run), "--query", "single"])
    assert (run / "eval" / "synthetic" / "metrics.json").read_bytes() == before
    assert "multi" not in scores(run / "eval" / "synthetic-single")


def test_a_run_is_scored_by_its_own_distance_unless_another_is_named(run):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("distance: euclidean", "distance: cosine"))
    command.run(["--checkpoint", str(run)])
    command.run(["--checkpoint", str(run), "--metric", "euclidean"])
    assert scores(run / "eval" / "synthetic")["protocol"]["metric"] == "cosine"
    assert scores(run / "eval" / "synthetic-euclidean")["protocol"]["metric"] == "euclidean"
