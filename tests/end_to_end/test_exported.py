"""An exported network embeds as the run that it is of."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl import data, embeddings, runs
from reid_srdl.commands import embed, export
from reid_srdl.errors import UserError
from reid_srdl.training.run import train


@pytest.fixture
def run(config, people, watch, monkeypatch):
    folder = train(config, people, watch=watch)
    monkeypatch.setattr(data, "read", lambda name, root: people)
    return folder


@pytest.mark.parametrize(("format", "suffix", "needs"), [("onnx", ".onnx", "onnxruntime"), ("torch", ".pt2", "torch")])
def test_its_embeddings_are_those_of_the_run(run, people, tmp_path, format, suffix, needs):
    pytest.importorskip(needs)
    pytest.importorskip("onnxscript")
    file = tmp_path / f"model{suffix}"
    assert export.run(["--checkpoint", str(run), "--format", format, "--output", str(file)]) == 0
    trained, exported = runs.load(run, "cpu"), runs.load(file)
    paths = people.query.files
    np.testing.assert_allclose(exported.embed(paths), trained.embed(paths), atol=1e-4)
    np.testing.assert_allclose(exported.embed(paths[:1]), trained.embed(paths[:1]), atol=1e-4)  # the batch is of any size
    assert exported.size == trained.size and exported.model_hash != trained.model_hash and exported.facts.source == trained.model_hash
    assert embed.run(["--checkpoint", str(file), "--images", str(people.query.root / "query"), "--output", str(tmp_path / "v.npz")]) == 0
    assert embeddings.load(tmp_path / "v.npz").model == trained.model_hash, "they may stand in one index with those of the run"


def test_a_difference_beyond_the_tolerance_leaves_no_file(run, tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(UserError):
        export.run(["--checkpoint", str(run), "--format", "onnx", "--output", str(tmp_path / "m.onnx"), "--tolerance", "1e-12"])
    assert not list(tmp_path.glob("m.onnx*"))


def test_a_file_that_is_none_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match=r"m\.onnx"):
        runs.load(tmp_path / "m.onnx")
