"""What is written down beside the soft targets, when they are made and when the run is finished."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from reid_srdl import diagnostics, files, inference, runs
from reid_srdl.training import beliefs, plans
from reid_srdl.training import reference as references
from reid_srdl.training.reference import Reference
from reid_srdl.training.run import train


def test_a_note_is_of_all_images_whatever_the_blocks(tmp_path, monkeypatch):
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    reference = Reference((logits - logits.max(dim=1, keepdim=True).values).half(), None, 5, "hash", "how")
    targets = np.arange(20) % 5
    line = beliefs.note(reference, targets, 3.0, tmp_path)
    whole = files.read_json(tmp_path / "diagnostics.json")
    found = diagnostics.SoftTargets.of_json(whole["soft_targets"])
    assert found.images == 20 and found.classes == 5 and found.agreement == (logits.argmax(dim=1).numpy() == targets).mean()
    assert line == diagnostics.line(found) and whole["verdict"] == diagnostics.verdict(found)
    monkeypatch.setattr(beliefs, "_BLOCK", 35)
    beliefs.note(reference, targets, 3.0, tmp_path)
    assert files.read_json(tmp_path / "diagnostics.json")["soft_targets"]["entropy"] == pytest.approx(found.entropy)


def test_the_largest_values_alone_are_noted_too(tmp_path):
    kept, classes = torch.tensor([[2.0, 1.0, 0.0, 3.0]]).topk(2, dim=1)
    beliefs.note(Reference((kept - 3).half(), classes, 4, "hash", "how"), np.array([3]), 1.0, tmp_path)
    found = files.read_json(tmp_path / "diagnostics.json")["soft_targets"]
    assert found["classes"] == 4 and found["label"] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


def test_a_run_says_what_its_soft_targets_are_like_before_the_second_stage(config, people, watch):
    folder = train(config, people, watch=watch)
    told = [line for line in watch.lines if line.startswith("soft targets:")]
    assert len(told) == 1 and "the label first for" in told[0]
    noted = files.read_json(folder / "stages/1-first/diagnostics.json")
    reference = references.load(folder / "stages/1-first/reference.safetensors")
    right = reference.logits.argmax(dim=1).numpy() == np.unique(people.train.labels, return_inverse=True)[1]
    assert noted["soft_targets"]["agreement"] == right.mean() and noted["soft_targets"]["images"] == 54
    assert noted["soft_targets"]["temperature"] == config.loss.temperature
    assert [path.parent.name for path in folder.rglob(diagnostics.FILE)] == ["1-first"]


def test_it_is_silent_where_that_is_asked_for(config, people, watch):
    folder = train(dataclasses.replace(config, log=dataclasses.replace(config.log, diagnostics=False)), people, watch=watch)
    assert not list(folder.rglob(diagnostics.FILE)) and not [line for line in watch.lines if line.startswith("soft targets:")]
    beliefs.compare(folder, "cpu", people.train)
    assert not list(folder.rglob(diagnostics.FILE))


def test_the_last_network_is_compared_with_what_it_imitated(config, people, watch, monkeypatch):
    folder = train(config, people, watch=watch)
    beliefs.compare(folder, "cpu", people.train)
    found = files.read_json(folder / "stages/1-first/diagnostics.json")
    trained = runs.load(folder, "cpu")
    own = inference.logits(trained.network, trained.source(people.train.files), size=trained.size, place=trained.place)
    reference = references.load(folder / "stages/1-first/reference.safetensors")
    expected = diagnostics.agreement(reference.rows(torch.arange(54)), torch.from_numpy(own), 3.0)
    assert found["last_network"] == {"images": 54, "same": expected.same, "overlap": pytest.approx(expected.overlap)}
    monkeypatch.setattr(beliefs, "COMPARED", 10)
    beliefs.compare(folder, "cpu", people.train)
    again = files.read_json(folder / "stages/1-first/diagnostics.json")
    assert again["last_network"]["images"] == 10 and again["soft_targets"] == found["soft_targets"]


def test_another_list_of_images_is_not_compared(config, people, watch):
    folder = train(config, people, watch=watch)
    beliefs.compare(folder, "cpu", people.train.take(np.arange(50)))
    assert "last_network" not in files.read_json(folder / "stages/1-first/diagnostics.json")


def test_they_are_compared_on_the_images_that_could_be_read(config, people, watch, tmp_path):
    shutil.copytree(people.train.root, tmp_path / "copy")
    split = dataclasses.replace(people.train, root=tmp_path / "copy")
    split.files[3].write_bytes(b"broken")
    folder = train(dataclasses.replace(config, data=dataclasses.replace(config.data, skip_corrupt=True)), dataclasses.replace(people, train=split), watch=watch)
    beliefs.compare(folder, "cpu", split)
    assert files.read_json(folder / "stages/1-first/diagnostics.json")["last_network"]["images"] == 53


def test_nothing_is_decoded_to_find_what_was_left_out_where_nothing_was(config, people, watch, monkeypatch):
    folder = train(dataclasses.replace(config, data=dataclasses.replace(config.data, skip_corrupt=True)), people, watch=watch)
    monkeypatch.setattr(beliefs, "readable", lambda *_: pytest.fail("all images are looked at"))
    beliefs.compare(folder, "cpu", people.train)
    assert files.read_json(folder / "stages/1-first/diagnostics.json")["last_network"]["images"] == 54


def test_each_generation_is_noted_beside_its_soft_targets(config, people, watch):
    config = dataclasses.replace(config, plan=dataclasses.replace(config.plan, name="born_again", epochs=3))
    folder = train(config, people, watch=watch)
    beliefs.compare(folder, "cpu", people.train)
    noted = sorted(path.parent.name for path in folder.rglob(diagnostics.FILE))
    assert noted == ["1-generation1", "2-generation2"] and len(plans.build(config)) == 3
