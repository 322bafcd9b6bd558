"""Formats, what they can be, and files that compute what the network computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl import runs
from reid_srdl.errors import UserError
from reid_srdl.export import FORMATS, Wanted, check_wanted, parity, samples, write

NAMES = {"onnx": "model.onnx", "openvino": "model.xml", "torch": "model.pt2"}


@pytest.mark.parametrize("name", FORMATS)
def test_files_compute_what_the_network_computes(name, trained, people, tmp_path):
    path = tmp_path / NAMES[name]
    write(trained, Wanted(name, logits=True, metric="cosine"), path)
    assert {file.suffix for file in tmp_path.iterdir()} == set(FORMATS[name].suffixes)
    exported = runs.load(path, "cpu")
    pixels = samples.pixels(trained, people.query, 11, seed=0, purpose="check")
    found = parity.measure(trained, exported, pixels, logits=True, batch=4)
    assert list(found) == ["embedding", "logits"]
    for each in found.values():
        parity.check(each, "fp32")
    assert exported.facts.source == trained.model_hash != exported.model_hash and exported.facts.metric == "cosine"
    assert exported.labels.tolist() == [3, 5, 9] and exported.size == (32, 16) and exported.dimension == 16
    # The whole way from image files, mirrored too, one and many at a time.
    for flip in (False, True):
        np.testing.assert_allclose(exported.embed(people.query.files, flip=flip, batch=5), trained.embed(people.query.files, flip=flip), atol=1e-4)


def test_images_that_were_resized_cost_less_than_a_grey_level(trained, people, tmp_path):
    import dataclasses

    larger = dataclasses.replace(trained, size=(48, 24))
    write(larger, Wanted("onnx"), tmp_path / "model.onnx")
    ours, theirs = larger.embed(people.query.files), runs.load(tmp_path / "model.onnx").embed(people.query.files)
    found = parity.compare(ours, theirs)
    assert found.cosine_lowest > 0.9999 and 0 < found.difference < 0.02 * found.largest


def test_a_changed_weight_is_found(trained, people, tmp_path):
    write(trained, Wanted("onnx"), tmp_path / "model.onnx")
    with torch.no_grad():
        trained.network.backbone.layers[0].weight[0] += 0.01
    found = parity.measure(trained, runs.load(tmp_path / "model.onnx"), samples.pixels(trained, people.query, 8, seed=0, purpose="check"))
    with pytest.raises(UserError, match="not the network's"):
        parity.check(found["embedding"], "fp32")


@pytest.mark.parametrize(
    ("wanted", "name", "message"),
    [
        (Wanted("onnx", "int8"), "a.onnx", "onnx files are not written in int8. Choose --format openvino"),
        (Wanted("torch", "bf16"), "a.pt2", "torch files are not written in bf16"),
        (Wanted("openvino"), "a.onnx", "no name of openvino files. They end in .xml"),
        (Wanted("onnx"), "a.ONNX", "no name of onnx files. They end in .onnx"),
    ],
)
def test_what_a_format_cannot_be_is_said(wanted, name, message):
    with pytest.raises(UserError, match=message):
        check_wanted(wanted, Path(name))


def test_int8_without_images_is_said(trained, tmp_path):
    with pytest.raises(UserError, match="int8 needs training images"):
        write(trained, Wanted("openvino", "int8"), tmp_path / "a.xml")


@pytest.mark.parametrize(("name", "missing"), [("onnx", "onnxscript"), ("openvino", "openvino")])
def test_a_missing_library_is_named_with_its_extra(name, missing, trained, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(UserError, match=rf"{missing} is not installed. Install it: pip install 'reid-srdl\[export\]'"):
        check_wanted(Wanted(name), tmp_path / NAMES[name])
    with pytest.raises(UserError, match=missing):
        write(trained, Wanted(name), tmp_path / NAMES[name])
    assert not list(tmp_path.iterdir())
