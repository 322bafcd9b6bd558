"""``export``, and its files in ``embed`` and ``eval``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl import data, embeddings, runs
from reid_srdl import load as load_anything
from reid_srdl.commands import embed
from reid_srdl.commands import eval as evaluating
from reid_srdl.commands import export as command
from reid_srdl.config import Config, ModelConfig, save
from reid_srdl.data.augment import normalised
from reid_srdl.data.records import ClassData
from reid_srdl.errors import UserError
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.models import build


@pytest.fixture
def run(tmp_path, people, monkeypatch) -> Path:
    """A finished run of ``people``, which is what every data set is here."""
    torch.manual_seed(0)
    network = build("small", 6)
    network(torch.randn(64, 3, 32, 16) + 0.3)
    folder, model = tmp_path / "run", ModelConfig("small", "none")
    runs.save_model(runs.stage_folder(folder, 0, "first") / runs.MODEL, network.eval(), model, (32, 16), np.arange(1, 7))
    save(Config(model=model, dataset="synthetic"), folder / runs.CONFIG)
    (folder / runs.FACTS).write_text(json.dumps({"finished": True, "stages": [{"folder": "1-first"}]}))
    monkeypatch.setattr(data, "read", lambda name, root: people)
    return folder


def export(run, output, *flags) -> int:
    return command.run(["--checkpoint", str(run), "--output", str(output), *flags])


@pytest.mark.parametrize(("name", "form"), [("model.onnx", "onnx"), ("model.xml", "openvino"), ("model.pt2", "torch")])
def test_files_are_checked_on_the_test_images_and_embed_and_score(name, form, run, people, tmp_path, capsys):
    output = tmp_path / "out" / name
    assert export(run, output, "--format", form, "--images", "9") == 0
    out, trained = capsys.readouterr().out, runs.load(run, "cpu")
    assert "Beside PyTorch, on 9 images of people's gallery: embedding largest difference" in out and f"embed --checkpoint {output}" in out
    record = json.loads(output.with_name(f"{name}.json").read_text())
    assert record["source"] == trained.model_hash and record["parity"]["embedding"]["images"] == 9 and record["parity"]["embedding"]["difference"] < 1e-4
    assert not list(output.parent.glob(".*")), "nothing else stays"

    exported = load_anything(output)
    assert exported.model_hash == record["hash"] != trained.model_hash
    assert embed.run(["--checkpoint", str(output), "--images", str(people.query.root / "query"), "--output", str(tmp_path / "v.npz"), "--flip"]) == 0
    found = embeddings.load(tmp_path / "v.npz")
    np.testing.assert_allclose(found.vectors, trained.embed(people.query.files, flip=True), atol=1e-4)
    assert found.model == trained.model_hash and found.flip is True

    assert evaluating.run(["--checkpoint", str(output), "--dataset", "people"]) == 0
    assert evaluating.run(["--checkpoint", str(run), "--device", "cpu"]) == 0
    ours = json.loads((run / "eval" / "synthetic" / "metrics.json").read_text())
    theirs = json.loads((output.parent / "eval" / f"people-{name}" / "metrics.json").read_text())
    assert theirs["single"]["mAP"] == pytest.approx(ours["single"]["mAP"]) and theirs["protocol"]["checkpoint"] == record["hash"]
    assert theirs["protocol"]["source"] == ours["protocol"]["checkpoint"] == trained.model_hash


def test_beyond_the_tolerance_nothing_stays(run, tmp_path):
    output = tmp_path / "out" / "model.onnx"
    output.parent.mkdir()
    output.write_bytes(b"an earlier file")
    with pytest.raises(UserError, match="above the tolerance 0. Nothing was kept"):
        export(run, output, "--tolerance", "0")
    assert [file.name for file in output.parent.iterdir()] == ["model.onnx"] and output.read_bytes() == b"an earlier file"


def test_a_calibration_of_what_the_file_held_before_goes_and_that_is_said(run, tmp_path, capsys):
    kept = tmp_path / "model.onnx.calibration.json"
    Calibration("another", "euclidean", False, np.array([0.0, 1.0]), np.array([1.0, -1.0]), 0.5, {}).save(kept)
    assert export(run, tmp_path / "model.onnx") == 0
    assert not kept.exists() and f"The calibration in {kept} was of the network that was in this file before, and is gone." in capsys.readouterr().out


def test_without_the_data_set_random_pictures_are_taken_and_that_is_said(run, tmp_path, monkeypatch, capsys):
    def gone(name, root):
        raise UserError("synthetic is not here")

    monkeypatch.setattr(data, "read", gone)
    assert export(run, tmp_path / "model.onnx", "--images", "4") == 0
    said = capsys.readouterr()
    assert "no real images to check it on (synthetic is not here)" in said.err and "on 4 random pictures" in said.out
    with pytest.raises(UserError, match="synthetic is not here"):
        export(run, tmp_path / "other.onnx", "--data_root", "nowhere")
    with pytest.raises(UserError, match="synthetic is not here"):
        export(run, tmp_path / "model.xml", "--format", "openvino", "--precision", "int8")
    (run / runs.CONFIG).unlink()  # so that nothing names a data set
    with pytest.raises(UserError, match="int8 needs training images .* --dataset"):
        export(run, tmp_path / "model.xml", "--format", "openvino", "--precision", "int8")


def test_who_was_held_out_limits_only_the_training_images_of_int8(run, people):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("holdout_identities: 0", "holdout_identities: 2"))
    for precision, held in (("fp32", 0), ("int8", 2)):
        chosen, _ = command._data(runs.load(run, "cpu"), command.ExportOptions(precision=precision))
        assert len(chosen.train.identities) == len(people.train.identities) - held
    path.write_text(path.read_text().replace("dataset: synthetic", "dataset: folder"))
    elsewhere, _ = command._data(runs.load(run, "cpu"), command.ExportOptions(precision="int8", data_root="other"))
    assert elsewhere is people


@pytest.mark.slow
def test_int8_states_its_cosine_and_what_it_costs(run, people, tmp_path, capsys):
    pytest.importorskip("nncf")
    output = tmp_path / "model.xml"
    assert export(run, output, "--format", "openvino", "--precision", "int8", "--calibration", "30") == 0
    out, record = capsys.readouterr().out, json.loads((tmp_path / "model.xml.json").read_text())
    from reid_srdl.evaluation import rank

    networks = {"mAP_source": runs.load(run), "mAP": runs.load(output)}
    exact = {name: rank(each.embeddings(people.query), each.embeddings(people.gallery), device="cpu").mAP for name, each in networks.items()}
    assert exact.items() <= record["score"].items() and 0.9 < record["parity"]["embedding"]["cosine_lowest"] < 1 - 1e-7
    assert f"{100 * exact['mAP_source']:.2f} in PyTorch, {100 * exact['mAP']:.2f} in int8" in out and record["calibration"]["images"] == 30
    before = output.with_suffix(".bin").read_bytes()
    assert export(run, output, "--format", "openvino", "--precision", "int8", "--calibration", "30", "--no_score") == 0
    assert "not measured: --no_score" in capsys.readouterr().out and runs.load(output).embed(people.query.files[:2]).shape == (2, 16)
    assert output.with_suffix(".bin").read_bytes() == before, "the choice of images is seeded"


def test_classes_are_scored_where_there_are_logits(run, people, tmp_path, monkeypatch):
    classes = ClassData("classes", people.train, None, people.train, tuple("abcdef"))
    monkeypatch.setattr(data, "read", lambda name, root: classes)
    save(Config(model=ModelConfig("small", "none"), dataset="cifar10"), run / runs.CONFIG)
    export(run, tmp_path / "with.onnx", "--logits")
    export(run, tmp_path / "without.onnx")
    assert evaluating.run(["--checkpoint", str(tmp_path / "with.onnx"), "--dataset", "classes", "--output", str(tmp_path / "theirs")]) == 0
    assert evaluating.run(["--checkpoint", str(run), "--output", str(tmp_path / "ours"), "--device", "cpu"]) == 0
    ours, theirs = (json.loads((tmp_path / name / "metrics.json").read_text())["classification"] for name in ("ours", "theirs"))
    assert theirs == pytest.approx(ours, abs=1e-5)
    with pytest.raises(UserError, match="holds no classifier, .* Export the network with --logits"):
        evaluating.run(["--checkpoint", str(tmp_path / "without.onnx"), "--dataset", "classes"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "a.onnx"], "export needs --checkpoint"),
        (["--checkpoint", "a", "--output", "a.onnx", "--precision", "int8"], "onnx files are not written in int8"),
        (["--checkpoint", "a", "--output", "a.pt"], "no name of onnx files. They end in .onnx"),
        (["--checkpoint", "a", "--output", "a.onnx", "--images", "0"], "images is 0"),
        (["--checkpoint", "a", "--output", "a.onnx", "--tolerance", "-1"], "tolerance is -1"),
        (["--checkpoint", "gone", "--output", "a.onnx"], "there is no checkpoint gone"),
    ],
)
def test_slips_are_said_before_anything_is_done(flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        command.run(flags)
    assert not list(tmp_path.iterdir())


def test_exports_are_no_source_and_take_no_words_on_their_input(run, people, tmp_path):
    export(run, tmp_path / "model.onnx", "--images", "3")
    with pytest.raises(UserError, match="is an exported file already"):
        export(tmp_path / "model.onnx", tmp_path / "again.onnx")
    images = ["--images", str(people.query.root / "query"), "--output", str(tmp_path / "v.npz")]
    with pytest.raises(UserError, match="says itself what it takes. Leave --input"):
        embed.run(["--checkpoint", str(tmp_path / "model.onnx"), "--input.size", "32", "16", *images])
    with pytest.raises(UserError, match="no exported file. --input"):
        embed.run(["--checkpoint", str(run), "--input.size", "32", "16", *images])


def foreign(path, what="ReduceMean") -> Path:
    """A file from elsewhere that embeds an image as the mean, or another sum of that kind, of its colours."""
    onnx = pytest.importorskip("onnx")
    helper, numbers = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node(what, ["x", "axes"], ["y"], keepdims=0)], "foreign",
        [helper.make_tensor_value_info("x", numbers.FLOAT, [1, 3, "h", "w"])], [helper.make_tensor_value_info("y", numbers.FLOAT, [1, 3])],
        [helper.make_tensor("axes", numbers.INT64, [2], [2, 3])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_a_file_from_elsewhere_embeds_by_what_is_said_of_it(people, tmp_path):
    foreign(tmp_path / "theirs.onnx")
    words = ["--checkpoint", str(tmp_path / "theirs.onnx"), "--images", str(people.query.root / "query"), "--output", str(tmp_path / "v.npz")]
    with pytest.raises(UserError, match="does not say"):
        embed.run(words)
    embed.run([*words, "--input.size", "32", "16", "--input.mean", "0", "0", "0", "--input.std", "1", "1", "1", "--input.white", "255", "--input.order", "bgr"])
    from reid_srdl.data.decoding import decode

    expected = [decode(file).mean((0, 1))[::-1] for file in people.query.files]
    np.testing.assert_allclose(embeddings.load(tmp_path / "v.npz").vectors, expected, rtol=1e-5)
    flags = ["--input.size=32,16", "--input.mean=0,0,0", "--input.std=1,1,1", "--output", str(tmp_path / "scores"), "--dataset", "people"]
    data_read, data.read = data.read, lambda name, root: people
    try:
        assert evaluating.run([*words[:2], *flags]) == 0
    finally:
        data.read = data_read
    assert "source" not in json.loads((tmp_path / "scores" / "metrics.json").read_text())["protocol"]


def test_what_is_said_of_files_from_elsewhere_is_said_of_all_in_an_ensemble_and_of_no_other(run, tmp_path):
    one, other, output = foreign(tmp_path / "one.onnx"), foreign(tmp_path / "other.onnx", "ReduceMax"), tmp_path / "scores"
    said = ["--input.size", "32", "16", "--input.mean", "0", "0", "0", "--input.std", "1", "1", "1", "--dataset", "people", "--output", str(output)]
    for checkpoint, *members in ((one, other), (run, one, other), (one, run)):
        assert evaluating.run(["--checkpoint", str(checkpoint), *said, "--members", *map(str, members)]) == 0
        found = json.loads((output / "metrics.json").read_text())["protocol"]["ensemble"]
        assert len(set(found["checkpoints"])) == 1 + len(members) and found["dimension"] == sum(16 if path == run else 3 for path in (checkpoint, *members))
    with pytest.raises(UserError, match="no exported file. --input"):
        evaluating.run(["--checkpoint", str(run), *said])


def test_a_network_and_its_own_export_are_no_ensemble(run, tmp_path):
    export(run, tmp_path / "model.onnx", "--images", "3")
    export(run, tmp_path / "model.pt2", "--format", "torch", "--images", "3")
    for checkpoint, member in ((run, "model.onnx"), (tmp_path / "model.onnx", run), (tmp_path / "model.pt2", "model.onnx")):
        with pytest.raises(UserError, match="is the same network as"):
            evaluating.run(["--checkpoint", str(checkpoint), "--members", str(tmp_path / member), "--dataset", "people"])


def test_a_file_is_compared_by_what_its_run_is_unless_told_otherwise(run, tmp_path):
    save(Config(model=ModelConfig("small", "none"), dataset="synthetic", distance="cosine"), run / runs.CONFIG)
    for words, metric in (([], "cosine"), (["--metric", "euclidean"], "euclidean")):
        export(run, tmp_path / "model.pt2", "--format", "torch", "--images", "3", *words)
        assert runs.load(tmp_path / "model.pt2").distance == json.loads((tmp_path / "model.pt2.json").read_text())["metric"] == metric


def test_logits_are_checked_as_embeddings_are(run, tmp_path, monkeypatch):
    from reid_srdl.export.graph import FromPixels

    def off(graph, images):
        return graph.network.embed(normalised(images)), graph.network(normalised(images)).logits + 1

    monkeypatch.setattr(FromPixels, "forward", off)
    with pytest.raises(UserError, match="the logits of the exported network is not the network's"):
        export(run, tmp_path / "out" / "model.pt2", "--format", "torch", "--images", "3", "--logits")
    assert not list((tmp_path / "out").iterdir())
