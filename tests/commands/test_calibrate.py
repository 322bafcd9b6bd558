"""``calibrate`` and ``verify``: from a run to a threshold, and from two images to a probability."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import data, embeddings, files, runs
from reid_srdl.commands import calibrate, embed, export, index, search, verify
from reid_srdl.commands import eval as evaluation
from reid_srdl.data.records import ReIDData, Split
from reid_srdl.errors import UserError
from reid_srdl.evaluation import calibration
from reid_srdl.evaluation.verification import pairs_of
from reid_srdl.training.run import train

from ..conftest import make_split


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> ReIDData:
    """15 people to look for, each 6 times, by 3 cameras, and as many others."""
    root = tmp_path_factory.mktemp("crowd")
    query = make_split(root, "query", range(1, 16), 3, 1, seed=1)
    gallery = make_split(root, "gallery", range(1, 16), 3, 1, seed=2)
    return ReIDData("crowd", train=make_split(root, "train", range(21, 36), 3, 2, seed=3), query=query, gallery=gallery)


@pytest.fixture
def run(finished, config, people, crowd, watch, tmp_path, monkeypatch) -> Path:
    if not (finished / "run").is_dir():
        shutil.copytree(train(config, people, watch=watch), finished / "run")
    shutil.copytree(finished / "run", tmp_path / "run here")
    monkeypatch.setattr(data, "read", lambda name, root: crowd)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run here"


def test_from_a_run_to_a_threshold_and_a_verdict(run, crowd, capsys):
    assert calibrate.run([str(run), "--draws", "20"]) == 0
    out = capsys.readouterr().out
    assert "equal error rate" in out and f"verify A.jpg B.jpg --checkpoint '{run}'" in out and "held-out" in out
    made = calibration.of_run(run)
    assert made.model == runs.load(run, "cpu").model_hash and made.facts["dataset"] == "synthetic" and made.facts["split"] == "test"
    images = [str(crowd.query.files[0]), str(crowd.gallery.files[0]), str(crowd.gallery.files[-1])]
    assert verify.run([*images, "--checkpoint", str(run), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    vectors = runs.load(run, "cpu").embed(images)
    far = [float(((vectors[a] - vectors[b]) ** 2).sum()) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert [row["distance"] for row in said["pairs"]] == pytest.approx(far, rel=1e-4)
    assert [row["probability"] for row in said["pairs"]] == pytest.approx(made.probability(np.array(far)).tolist(), rel=1e-3)
    assert [row["same"] for row in said["pairs"]] == [bool(value <= made.threshold(0.5)) for value in far]
    assert verify.run([*images[:2], "--checkpoint", str(run), "--probability", "0.9", "--prior", "0.4"]) == 0
    assert "a hint and no proof" in capsys.readouterr().out


def test_kept_embeddings_are_of_the_run_s_own_place(run, monkeypatch, capsys):
    """Whoever names another one means what lies there."""
    evaluation.run(["--checkpoint", str(run)])
    asked, real = [], runs.Trained.embeddings
    monkeypatch.setattr(runs.Trained, "embeddings", lambda self, split, **options: asked.append(split.name) or real(self, split, **options))
    calibrate.run([str(run), "--draws", "20"])
    assert asked == []
    calibrate.run([str(run), "--draws", "20", "--data_root", "elsewhere"])
    assert asked == ["query", "gallery"]
    # Nor are one's own images in the place that $REID_DATA tells of those in the usual one.
    evaluation.run(["--checkpoint", str(run), "--dataset", "folder"])
    calibrate.run([str(run), "--draws", "20", "--dataset", "folder"])
    embedded = len(asked)
    monkeypatch.setenv("REID_DATA", "elsewhere")
    calibrate.run([str(run), "--draws", "20", "--dataset", "folder"])
    assert asked[embedded:] == ["query", "gallery"]
    for option, message in (("--seed=-1", "seed is -1"), ("--prior=2", "a prior of 2")):
        with pytest.raises(UserError, match=message):
            calibrate.run([str(run), option])
    assert len(asked) == embedded + 2, "nothing was embedded for what is refused"


def test_kept_embeddings_are_used_and_those_of_another_network_are_not(run, monkeypatch):
    evaluation.run(["--checkpoint", str(run)])
    calibrate.run([str(run), "--draws", "20"])
    first = calibration.of_run(run)
    with monkeypatch.context() as patched:
        patched.setattr(runs.Trained, "embeddings", lambda *_, **__: pytest.fail("embedded again"))
        calibrate.run([str(run), "--draws", "20", "--method", first.facts["method"]])
    assert calibration.of_run(run).log_odds.tolist() == first.log_odds.tolist()
    path = run / "eval" / "synthetic" / "query.npz"
    kept = embeddings.load(path)
    embeddings.save(embeddings.Embeddings(kept.vectors * 9, kept.paths, kept.labels, kept.cameras, "another"), path)
    calibrate.run([str(run), "--draws", "20"])
    assert calibration.of_run(run).facts["eer_threshold"] == pytest.approx(first.facts["eer_threshold"], rel=1e-4)


@pytest.mark.parametrize("changed", ["images", "people", "cameras", "flip"])
def test_kept_embeddings_of_what_is_no_longer_so_are_not_used(run, crowd, monkeypatch, changed):
    evaluation.run(["--checkpoint", str(run)])
    gallery = crowd.gallery
    changes = {"images": gallery.take(np.arange(len(gallery) - 1)), "people": dataclasses.replace(gallery, labels=gallery.labels[::-1]), "cameras": dataclasses.replace(gallery, cameras=gallery.cameras[::-1])}
    monkeypatch.setattr(data, "read", lambda name, root: dataclasses.replace(crowd, gallery=changes.get(changed, gallery)))
    if changed == "flip":
        for part in ("query", "gallery"):
            path = run / "eval" / "synthetic" / f"{part}.npz"
            embeddings.save(dataclasses.replace(embeddings.load(path), flip=True), path)
    asked, real = [], runs.Trained.embeddings
    monkeypatch.setattr(runs.Trained, "embeddings", lambda self, split, **options: asked.append(split.name) or real(self, split, **options))
    calibrate.run([str(run), "--draws", "20"])
    assert asked == ["query", "gallery"]


def test_kept_embeddings_go_along_where_the_images_do_not(run, monkeypatch, capsys):
    evaluation.run(["--checkpoint", str(run)])

    def gone(name, root):
        raise UserError(f"{name} is not there")

    monkeypatch.setattr(data, "read", gone)
    calibrate.run([str(run), "--draws", "20"])
    assert "The images of synthetic are not at hand: this is of what eval embedded of them" in capsys.readouterr().out
    (run / "eval" / "synthetic" / "query.npz").unlink()
    with pytest.raises(UserError, match="synthetic is not there"):
        calibrate.run([str(run), "--draws", "20"])


def test_what_is_missing_is_said(run, crowd):
    image = str(crowd.query.files[0])
    for words, message in (
        ([image, "--checkpoint", str(run)], "two images"),
        ([image, image], "needs --checkpoint"),
        ([image, image, "--checkpoint", str(run)], "has no calibration.*calibrate"),
    ):
        with pytest.raises(UserError, match=message):
            verify.run(words)
    for words, message in (
        ([], "run folder first"),
        (["--split", "test"], "run folder first"),
        ([str(run), "--split", "val"], "held no identities out"),
        ([str(run), "--draws", "3"], "draws is 3. It must not be below 20"),
        ([str(run), "--most_images", "8"], "2 people are too few .* 10 people or more, and leave them room with --most_images"),
    ):
        with pytest.raises(UserError, match=message):
            calibrate.run(words)
    calibrate.run([str(run), "--draws", "20"])
    with pytest.raises(UserError, match="nowhere.jpg"):
        verify.run([image, "nowhere.jpg", "--checkpoint", str(run)])
    assert verify.run([image, image, "--checkpoint", str(run), "--probability", "0.999999", "--prior", "0.0001"]) == 0
    with pytest.raises(UserError, match="probability of 0.0"):
        verify.run([image, image, "--checkpoint", str(run), "--prior", "0"])
    with pytest.raises(UserError, match="probability of 2"):
        verify.run([image, image, "--checkpoint", str(run), "--probability", "2"])
    values = files.read_json(run / "calibration.json")
    files.write_json(run / "calibration.json", {**values, "model": "another"})
    with pytest.raises(UserError, match="another network"):
        verify.run([image, image, "--checkpoint", str(run)])


@pytest.mark.soak
def test_an_export_takes_the_calibration_along_and_a_rounded_one_gets_its_own(run, crowd, tmp_path, capsys):
    words = ["--checkpoint", str(run), "--images", "9", "--output"]
    assert export.run([*words, "plain.onnx"]) == 0
    assert "alibration" not in capsys.readouterr().out and not Path("plain.onnx.calibration.json").exists()
    calibrate.run([str(run), "--draws", "20"])
    assert export.run([*words, "model.onnx"]) == 0
    assert "is in model.onnx.calibration.json" in capsys.readouterr().out
    pair, said = [str(crowd.query.files[0]), str(crowd.gallery.files[-1])], {}
    for name in (str(run), "model.onnx"):
        assert verify.run([*pair, "--checkpoint", name, "--json"]) == 0
        said[name] = json.loads(capsys.readouterr().out)["pairs"][0]
    assert said["model.onnx"]["probability"] == pytest.approx(said[str(run)]["probability"], rel=1e-3)

    # An index of the run's own embeddings, searched by the export.
    embed.run(["--checkpoint", str(run), "--images", str(crowd.gallery.root / "gallery"), "--output", "g.npz", "--device", "cpu"])
    index.run(["--embeddings", "g.npz", "--output", "g.index"])
    search.run(["--index", "g.index", "--checkpoint", "model.onnx", "--query", pair[0], "--json", "found.json"])
    assert json.loads(Path("found.json").read_text())["queries"][0]["hits"][0]["probability"] > 0
    # And what the export embeds may stand beside what the run does, in either order.
    embed.run(["--checkpoint", "model.onnx", "--images", str(crowd.query.root / "query"), "--output", "q.npz"])
    assert index.run(["--add", "q.npz", "--index", "g.index", "--replace"]) == index.run(["--embeddings", "q.npz", "--output", "q.index"]) == 0
    assert search.run(["--index", "q.index", "--checkpoint", str(run), "--query", pair[0], "--device", "cpu"]) == 0
    capsys.readouterr()

    assert export.run([*words, "small.xml", "--format", "openvino", "--precision", "int8", "--calibration", "20", "--no_score"]) == 0  # any processor computes it
    assert "calibrate small.xml --dataset synthetic" in capsys.readouterr().out and not Path("small.xml.calibration.json").exists()
    with pytest.raises(UserError, match="small.xml has no calibration.*calibrate small.xml --dataset NAME"):
        verify.run([*pair, "--checkpoint", "small.xml"])
    with pytest.raises(UserError, match="small.xml names no data set"):
        calibrate.run(["small.xml"])
    before = (run / "calibration.json").read_bytes()
    assert calibrate.run(["small.xml", "--dataset", "synthetic", "--draws", "20"]) == 0
    assert calibration.Calibration.load("small.xml.calibration.json").model == runs.load("small.xml").model_hash
    assert verify.run([*pair, "--checkpoint", "small.xml"]) == 0 and (run / "calibration.json").read_bytes() == before
    Path("model.onnx.calibration.json").write_bytes(Path("small.xml.calibration.json").read_bytes())
    with pytest.raises(UserError, match="model.onnx has a calibration of another network"):
        verify.run([*pair, "--checkpoint", "model.onnx"])
    # What cannot be passed on does not make a failure of the export, and what belongs to an earlier file goes with it.
    (run / "calibration.json").write_text("{}")
    assert export.run([*words, "model.onnx"]) == 0
    assert "No calibration was passed on" in capsys.readouterr().out and Path("model.onnx.calibration.json").exists()
    (run / "calibration.json").unlink()
    assert export.run([*words, "model.onnx"]) == 0 and not Path("model.onnx.calibration.json").exists()


def test_a_stage_s_calibration_takes_no_run_s_place(run, crowd):
    """Every stage is a network of its own."""
    calibrate.run([str(run), "--draws", "20"])
    before = (run / "calibration.json").read_bytes()
    stage = run / "stages" / "1-first"
    image = str(crowd.query.files[0])
    with pytest.raises(UserError, match="1-first' has no calibration|1-first has no calibration"):
        verify.run([image, image, "--checkpoint", str(stage)])
    calibrate.run([str(stage), "--draws", "20"])
    assert (run / "calibration.json").read_bytes() == before and (stage / "model.safetensors.calibration.json").is_file()
    assert verify.run([image, image, "--checkpoint", str(stage)]) == verify.run([image, image, "--checkpoint", str(run)]) == 0


def test_a_run_that_is_scored_by_the_cosine_is_calibrated_indexed_and_searched_by_it(run, crowd, tmp_path, capsys):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("distance: euclidean", "distance: cosine"))
    calibrate.run([str(run), "--draws", "20"])
    assert calibration.of_run(run).metric == "cosine"
    embed.run(["--checkpoint", str(run), "--images", str(crowd.gallery.root / "gallery"), "--output", "g.npz", "--device", "cpu"])
    assert "index --embeddings g.npz --output gallery.index --metric cosine" in capsys.readouterr().out
    index.run(["--embeddings", "g.npz", "--output", "cosine.index", "--metric", "cosine"])
    index.run(["--embeddings", "g.npz", "--output", "euclidean.index"])
    assert "at length 1, for the cosine" in capsys.readouterr().out
    query = ["--checkpoint", str(run), "--query", str(crowd.query.files[0]), "--device", "cpu", "--json", "found.json"]
    search.run(["--index", "cosine.index", *query])
    told, hits = json.loads(Path("found.json").read_text()), capsys.readouterr().out
    assert told["distance"] == "1 - cosine" and 0 < told["queries"][0]["hits"][0]["probability"] <= 1 and "note:" not in hits
    search.run(["--index", "euclidean.index", *query])
    out = capsys.readouterr().out
    assert "the run is scored by its cosine distance" in out and "index --metric cosine" in out and "calibration is of cosine distances" in out


def test_what_is_calibrated_with_mirror_images_is_verified_with_them(run, crowd, capsys):
    calibrate.run([str(run), "--draws", "20", "--flip", "--method", "platt", "--prior", "0.2"])
    made, trained = calibration.of_run(run), runs.load(run, "cpu")
    # The curve of this method ends at the largest distance.
    ends = {}
    for flip in (False, True):
        query, gallery = (trained.embeddings(part, flip=flip) for part in (crowd.query, crowd.gallery))
        both = embeddings.Embeddings(*(np.concatenate([getattr(part, name) for part in (query, gallery)]) for name in ("vectors", "paths", "labels", "cameras")))
        ends[flip] = pairs_of(both).distances[-1]
    assert made.flip is made.facts["flip"] is True and made.distances[-1] == pytest.approx(ends[True], rel=1e-4) != pytest.approx(ends[False], rel=1e-3)
    assert made.prior == 0.2
    capsys.readouterr()
    images = [str(crowd.query.files[0]), str(crowd.gallery.files[-1])]
    verify.run([*images, "--checkpoint", str(run), "--json"])
    said = json.loads(capsys.readouterr().out)
    far = {flip: float(np.square(np.subtract(*trained.embed(images, flip=flip))).sum()) for flip in (False, True)}
    assert said["pairs"][0]["distance"] == pytest.approx(far[True], rel=1e-4) != pytest.approx(far[False], rel=1e-3)
    assert said["prior"] == 0.2 and said["pairs"][0]["probability"] == pytest.approx(made.probability(np.array(far[True])), rel=1e-3)


def test_people_who_were_held_out_are_calibrated_on_unless_others_are_named(run, capsys):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("holdout_identities: 0", "holdout_identities: 12"))
    assert runs.load(run, "cpu").config.data.holdout_identities == 12
    for words, split, people in (([], "val", 12), (["--split", "test"], "test", 15)):
        calibrate.run([str(run), "--draws", "20", "--across_cameras", "false", *words])
        facts = calibration.of_run(run).facts
        assert (facts["split"], facts["pairs"]["identities"]) == (split, people)
        assert ("the people that scores are reported on" in capsys.readouterr().out) is (split == "test")
    path.write_text(path.read_text().replace("holdout_identities: 12", "holdout_identities: 20"))
    calibrate.run([str(run), "--draws", "20", "--split", "test"])
    with pytest.raises(UserError, match="1 to train and 20 to hold out do not fit.*--split test"):
        calibrate.run([str(run), "--draws", "20"])


def test_an_image_that_is_query_and_gallery_is_no_pair_with_itself(run, crowd, monkeypatch):
    """As where a set's queries stand in its gallery again: each would be a genuine pair at distance 0."""
    one, other = crowd.gallery, crowd.query
    both = Split("gallery", one.root, one.paths + other.paths, np.concatenate([one.labels, other.labels]), np.concatenate([one.cameras, other.cameras]))
    everybody = ReIDData("crowd", train=crowd.train, query=crowd.query, gallery=both)
    found = []
    for one in (crowd, everybody):
        monkeypatch.setattr(data, "read", lambda name, root, one=one: one)
        calibrate.run([str(run), "--draws", "20", "--across_cameras", "false", "--method", "platt"])
        found.append(calibration.of_run(run).facts)
    assert found[0]["pairs"] == found[1]["pairs"] and found[1]["eer"] == pytest.approx(found[0]["eer"], abs=1e-3)


@pytest.mark.parametrize("cameras", [True, False])
def test_images_that_only_look_alike_are_not_the_same(cameras):
    """Vectors of a network that has learnt little are all within a hundredth of their length of each other."""
    vectors = 1e3 + np.random.default_rng(0).standard_normal((6, 4))
    query, gallery = (
        embeddings.Embeddings(vectors[rows], labels=[1, 1, 2], cameras=seen if cameras else None) for rows, seen in ((slice(0, 3), [1, 2, 1]), ([0, 4, 5], [1, 3, 2]))
    )
    assert len(calibrate._together((query, gallery))) == 5, "one of the six is in both"


def known(run, **facts) -> calibration.Calibration:
    """A calibration of the run's own network, as if it had been fitted."""
    made = calibration.Calibration(runs.load(run, "cpu").model_hash, "euclidean", False, np.array([0.0, 10.0]), np.array([3.0, -3.0]), 0.5, facts)
    made.save(run / "calibration.json")
    return made


def test_what_tells_nothing_apart_says_so(run, crowd, capsys):
    images = [str(crowd.query.files[0]), str(crowd.gallery.files[-1])]
    for high, told in ((0.3, False), (0.56, True)):
        known(run, eer_high=high)
        verify.run([*images, "--checkpoint", str(run)])
        assert (calibration.NOTHING in capsys.readouterr().out) == told


def test_a_prior_at_which_nobody_is_probable_calls_them_different(run, crowd, capsys):
    image, most = str(crowd.query.files[0]), known(run).most(0.001)
    verify.run([image, image, "--checkpoint", str(run), "--prior", "0.001", "--probability", str((1 + most) / 2)])
    out = capsys.readouterr().out
    assert f"{image} and {image}: different identities (probability " in out and "which is no distance (the most that one has is " in out
