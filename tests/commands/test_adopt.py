"""From a checkpoint of torchreid to a run folder that other commands take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl import data, runs
from reid_srdl.commands import adopt, card, embed, report, train
from reid_srdl.commands import eval as scoring
from reid_srdl.errors import UserError
from reid_srdl.models import build, from_torchreid


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    network = from_torchreid._models().build_model("osnet_x0_25", num_classes=6, pretrained=False, use_gpu=False)
    file = tmp_path_factory.mktemp("zoo") / "osnet.pth.tar-60"
    torch.save({"state_dict": network.state_dict(), "epoch": 60}, file)
    return file


@pytest.fixture
def argv(checkpoint, tmp_path, monkeypatch, people) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data, "read", lambda name, root: people)
    return [str(checkpoint), "--backbone", "torchreid:osnet_x0_25", "--dataset", "market1501", "--height", "64", "--width", "32"]


def test_an_adopted_network_goes_through_the_other_commands(argv, people, capsys):
    assert adopt.run(argv) == 0
    run = Path("runs/adopted-osnet")
    facts = runs.read_facts(run)
    assert facts["finished"] and facts["identities"] == 6 and facts["adopted"]["toolkit"] == "torchreid"
    assert facts["adopted"]["size"] == [64, 32] and facts["adopted"]["mean"] == [0.485, 0.456, 0.406] and len(facts["adopted"]["sha256"]) == 64
    assert f"reid-srdl eval --checkpoint {run}" in capsys.readouterr().out
    trained = runs.load(run, "cpu")
    assert trained.size == (64, 32) and trained.config.dataset == "market1501" and trained.config.distance == "euclidean" and trained.embed(people.query.files[:2]).shape == (2, 512)
    scoring.run(["--checkpoint", str(run), "--device", "cpu"])
    assert json.loads((run / "eval/market1501/metrics.json").read_text())["protocol"]["checkpoint"] == trained.model_hash
    report.run([str(run), "--map", "false", "--attention", "false", "--browse", "2"])
    page = (run / "report.html").read_text()
    assert "Adopted from a checkpoint of torchreid, trained on market1501 to tell 6 people apart" in page and "64 × 32 pixels" in page
    assert "train --resume" not in page and "by the plan" not in page
    embed.run(["--checkpoint", str(run), "--images", str(people.query.root / "query"), "--output", "query.npz", "--device", "cpu"])
    assert np.load("query.npz")["vectors"].shape == (len(people.query), 512)
    card.run([str(run)])
    text = (run / "README.md").read_text()
    assert "which this program did not train" in text and "torchreid:osnet_x0_25" in text and "self-distillation" not in text and "Learning rate" not in text


def test_its_training_is_not_gone_on_with_but_its_weights_begin_another(argv, people):
    adopt.run(argv)
    with pytest.raises(UserError, match=r"was trained elsewhere.*--model\.weights (\S+)") as error:
        train.run(["--resume", "runs/adopted-osnet"])
    weights = str(error.value).split("--model.weights ")[1].rstrip(".")
    network = build("torchreid:osnet_x0_25", 6, weights=weights)
    assert network.weights_report.complete
    assert torch.equal(network.backbone.conv1.conv.weight, runs.load("runs/adopted-osnet", "cpu").network.backbone.conv1.conv.weight)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda argv: argv[1:], "needs the checkpoint first"),
        (lambda argv: [argv[0], *argv[3:]], "needs --backbone"),
        (lambda argv: [*argv[:3], *argv[5:]], "needs --dataset"),
        (lambda argv: ["nowhere.pth", *argv[1:]], "there is no file nowhere.pth. Name the checkpoint"),
        (lambda argv: [*argv, "--last_stride", "1"], "the last stride of torchreid:osnet_x0_25 cannot be 1. .*use --last_stride 2"),
        (lambda argv: [*argv, "--backbone", "fastreid:resnet50"], "is of torchreid, and fastreid:resnet50 is built as fastreid builds it.*--backbone resnet50, or torchreid:NAME"),
        (lambda argv: [*argv, "--backbone", "torchreid:osnet_x0_5"], "does not fit torchreid:osnet_x0_5: of other shape are"),
        (lambda argv: [*argv, "--backbone", "torchreid:osnet_x25"], "unknown network"),
        (lambda argv: [*argv, "--dataset", "market1051"], "no data set 'market1051'.*market1501"),
        (lambda argv: [*argv, "--dataset", "cifar10"], "cifar10 is a set of classes"),
        (lambda argv: [*argv, "--height", "0"], "height is 0. It must be above 0"),
        (lambda argv: [*argv, "--hieght", "64"], "hieght.*height"),
    ],
)
def test_bad_input_leaves_nothing_behind(argv, change, words):
    with pytest.raises(UserError, match=words):
        adopt.run(change(argv))
    assert not list(Path().iterdir())


def test_a_folder_that_is_there_is_not_written_into(argv):
    Path("there").mkdir()
    Path("there/file").touch()
    with pytest.raises(UserError, match="there already"):
        adopt.run([*argv, "--output", "there"])


def test_images_that_are_normalised_otherwise_are_refused(argv, checkpoint, tmp_path):
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    state = {f"backbone.{key}": value for key, value in state.items() if not key.startswith("classifier")} | {"heads.weight": state["classifier.weight"]}
    state |= {"pixel_mean": torch.tensor([127.5] * 3), "pixel_std": torch.tensor([127.5] * 3)}
    torch.save({"model": state}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"normalises images by the mean \(0.5, 0.5, 0.5\)"):
        adopt.run([str(tmp_path / "other.pth"), "--backbone", "fastreid:resnet50", "--dataset", "market1501"])


def test_help_and_usage(capsys):
    assert adopt.run([]) == 2 and "usage: adopt FILE" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        adopt.run(["--help"])
    assert stopped.value.code == 0 and "--last_stride" in capsys.readouterr().out


def test_fastreid_s_networks_are_scored_by_the_cosine(argv, tmp_path):
    network, neck = build("fastreid:resnet18", 6, weights="none"), torch.nn.BatchNorm1d(512)
    state = {f"backbone.{name}": value for name, value in network.backbone.state_dict().items()}
    state |= {f"heads.bottleneck.0.{name}": value for name, value in neck.state_dict().items()} | {"heads.weight": torch.randn(6, 512)}
    torch.save({"model": state}, tmp_path / "bot.pth")
    assert adopt.run([str(tmp_path / "bot.pth"), "--backbone", "fastreid:resnet18", *argv[3:]]) == 0
    assert runs.load("runs/adopted-bot", "cpu").config.distance == "cosine"
