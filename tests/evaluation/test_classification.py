"""Scores of a classifier, by hand and from a network on images."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from reid_srdl import __version__, devices, inference, runs
from reid_srdl.config import ModelConfig
from reid_srdl.data.augment import clean
from reid_srdl.data.images import open_source
from reid_srdl.data.records import ClassData, Split
from reid_srdl.errors import UserError
from reid_srdl.evaluation import predictions
from reid_srdl.evaluation.classification import beliefs, classify, evaluate, together
from reid_srdl.models import build

from ..conftest import SIZE, write_person

NAMES = ("ash", "beech", "cedar")


# --- from logits -------------------------------------------------------------------------------------------------


def test_top1_top5_and_loss_by_hand():
    # Of 7 classes the label is 1st, 5th, 6th.
    logits = np.array([[9, 1, 2, 3, 4, 5, 6], [5, 9, 8, 7, 6, 1, 0], [4, 9, 8, 7, 6, 5, 0]], dtype=np.float32)
    found = classify(logits, np.array([0, 0, 0]))
    assert found.top1 == pytest.approx(1 / 3) and found.top5 == pytest.approx(2 / 3)
    assert found.loss == pytest.approx(-np.log(softmax(logits.astype(float), axis=1)[:, 0]).mean())
    assert found.predicted.tolist() == [0, 1, 1]
    assert found.scores() == {"top1": found.top1, "top5": found.top5, "loss": found.loss, "ece": found.ece}


def test_the_calibration_error_by_hand():
    # Probabilities 0.8 and 0.2: both predictions are 0.8 sure, one of them is right.
    logits = np.log([[0.8, 0.2], [0.2, 0.8]])
    assert classify(logits, np.array([0, 0])).ece == pytest.approx(0.3)
    assert classify(logits, np.array([0, 1])).ece == pytest.approx(0.2)


def test_with_few_classes_the_first_5_are_all_of_them():
    assert classify(np.zeros((2, 3)), np.array([1, 2])).top5 == 1


def test_of_equal_logits_the_lower_class_comes_first():
    found = classify(np.zeros((8, 8)), np.arange(8))
    assert found.top1 == 1 / 8 and found.top5 == 5 / 8 and found.predicted.tolist() == [0] * 8


def test_large_logits_overflow_nowhere_and_others_are_named():
    found = classify(np.array([[1e4, 0.0]]), np.array([1]))
    assert found.loss == pytest.approx(1e4) and found.confidence[0] == 1
    with pytest.raises(UserError, match="image 1 is not finite"):
        classify(np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([0, 0]))


def test_an_ensemble_is_the_mean_of_probabilities():
    one, two = np.log([[0.9, 0.1], [0.2, 0.8]]), np.log([[0.3, 0.7], [0.4, 0.6]]) + 5
    assert softmax(together([one, two]), axis=1) == pytest.approx(np.array([[0.6, 0.4], [0.3, 0.7]]))
    # The mean of probabilities is not that of logits, where one that is sure of a class outvotes the other.
    assert together([np.array([[0.0, -50.0]]), np.array([[0.0, 2.0]])]).argmax() == 0


# --- from a network on images -------------------------------------------------------------------------------------


def trees(root: Path, name: str, each: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    paths, labels = [], []
    for label, word in enumerate(NAMES):
        for shot in range(each):
            paths.append(f"{name}/{word}/{shot}.png"), labels.append(label)
            write_person(root / paths[-1], np.random.default_rng(label).uniform(30, 225, 3), rng)
    return Split(name, root, tuple(paths), np.array(labels), np.zeros(len(paths)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> ClassData:
    root = tmp_path_factory.mktemp("trees")
    return ClassData("trees", trees(root, "train", 3, 0), None, trees(root, "test", 4, 1), NAMES)


def network(seed: int = 0, labels: tuple[int, ...] = (0, 1, 2)) -> runs.Trained:
    torch.manual_seed(seed)
    made = build("small", len(labels)).eval()
    return runs.Trained(made, SIZE, np.array(labels), f"hash{seed}", devices.Place(torch.device("cpu")), ModelConfig("small", "none"))


def test_the_form_and_the_stamp(data, tmp_path):
    found = evaluate(network(), data)
    assert list(found.metrics) == ["protocol", "classification"] and list(found.metrics["classification"]) == ["top1", "top5", "loss", "ece"]
    expected = {"dataset": "trees", "split": "test", "images": 12, "classes": 3, "flip": False, "checkpoint": "hash0", "version": __version__}
    assert expected.items() <= found.metrics["protocol"].items() and "crop" in found.metrics["protocol"]
    logits = inference.logits(network().network, open_source(data.test.files, SIZE), size=SIZE, place=network().place)
    assert found.metrics["classification"] == classify(logits, data.test.labels).scores()
    found.save(tmp_path / "eval")
    assert json.loads((tmp_path / "eval/metrics.json").read_text()) == found.metrics
    said = predictions.load(tmp_path / "eval/predictions.npz")
    assert said.paths == data.test.paths and said.names == NAMES and said.right.mean() == pytest.approx(found.metrics["classification"]["top1"])
    assert len(found.table()) == 2 and found.remarks() == ["12 test images of 3 classes."]
    assert found.table()[0] == ("", "top-1", "loss", "ECE") and "top5" not in found.metrics["protocol"], "of 3 classes the label is always among the first 5"


def test_a_saving_that_is_broken_off_leaves_no_scores_of_other_predictions(data, tmp_path, monkeypatch):
    found = evaluate(network(), data)
    found.save(tmp_path)
    monkeypatch.setattr("reid_srdl.files.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found.save(tmp_path)
    assert (tmp_path / "predictions.npz").exists() and not (tmp_path / "metrics.json").exists()


def test_mirrored_beliefs_are_averaged_as_probabilities(data):
    one = network()
    source = open_source(data.test.files, SIZE)
    plain = softmax(inference.logits(one.network, source, size=SIZE, place=one.place), axis=1)
    with torch.inference_mode():
        images = source.batch(range(len(source))).flip(3)
        mirrored = softmax(one.network(clean(images, SIZE)).logits.numpy(), axis=1)
    assert softmax(beliefs(one, data.test, flip=True), axis=1) == pytest.approx((plain + mirrored) / 2, abs=1e-6)
    assert evaluate(one, data, flip=True).metrics["protocol"]["flip"] is True


def test_an_ensemble_of_networks(data):
    one, two = network(0), network(1)
    found = evaluate(one, data, flip=True, ensemble=[two])
    assert list(found.metrics) == ["protocol", "classification", "ensemble"]
    mean = (softmax(beliefs(one, data.test, flip=True), axis=1) + softmax(beliefs(two, data.test, flip=True), axis=1)) / 2
    assert found.metrics["ensemble"]["loss"] == pytest.approx(-np.log(mean[np.arange(12), data.test.labels]).mean(), abs=1e-6)
    assert found.metrics["ensemble"]["top1"] == (mean.argmax(axis=1) == data.test.labels).mean()
    assert found.metrics["protocol"]["ensemble"] == {"probabilities": "mean", "checkpoints": ["hash0", "hash1"], "passes_per_image": 4}
    assert [row[0] for row in found.table()[1:]] == ["network", "ensemble"]


def test_other_labels_are_refused(data):
    for labels in ((0, 1), (0, 1, 7)):
        with pytest.raises(UserError, match=r"labels, which are not the 3 of trees"):
            evaluate(network(labels=labels), data)
    with pytest.raises(UserError, match="not the 3 of trees"):
        evaluate(network(), data, ensemble=[network(1, (0, 1, 2, 3))])


def test_classes_of_other_names_are_refused_where_both_have_names(data):
    known = dataclasses.replace(network(), names=(NAMES[0], "another", NAMES[2]))
    with pytest.raises(UserError, match=f"the network hash0 knows other classes than those of trees: label 1 is another to it, and {NAMES[1]} there"):
        evaluate(known, data)
    evaluate(dataclasses.replace(known, names=NAMES), data)
    evaluate(known, dataclasses.replace(data, class_names=()))


def test_splits_that_cannot_be_scored(data):
    with pytest.raises(UserError, match="trees has no held-out images"):
        evaluate(network(), data, split="val")
    odd = Split("test", data.test.root, data.test.paths, np.where(data.test.labels == 2, 9, data.test.labels), data.test.cameras)
    with pytest.raises(UserError, match="of the class 9, of which no training image is"):
        evaluate(network(), ClassData("trees", data.train, None, odd, NAMES))
