"""Finished stages are handed out whole or not at all."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from reid_srdl import runs
from reid_srdl.config import ModelConfig
from reid_srdl.models import build
from reid_srdl.training.stage_store import StageStore


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    runs.save_model(tmp_path / "model.safetensors", build("small", 3), ModelConfig("small", "none"), (32, 16), np.array([3, 5, 9]))
    return tmp_path / "model.safetensors"


def test_the_store_hands_out_what_it_was_given(tmp_path, saved):
    store = StageStore(tmp_path / ".stages")
    (tmp_path / "log.csv").write_text("epoch\n0\n")
    assert not store.take("key", tmp_path / "a")
    store.put("key", tmp_path)
    assert store.take("key", tmp_path / "a")
    assert runs.read_model(tmp_path / "a/model.safetensors").hash == runs.read_model(saved).hash
    assert (tmp_path / "a/log.csv").read_text() == "epoch\n0\n"


def test_where_nothing_can_be_written_there_is_no_store(tmp_path, saved):
    (tmp_path / "file").touch()
    said = []
    store = StageStore(tmp_path / "file/.stages", said.append)
    with store.lock("key"):
        assert not store.take("key", tmp_path / "a")
        store.put("key", tmp_path)
    assert len(said) == 1 and "Not a directory" in said[0] and sorted(path.name for path in tmp_path.iterdir()) == ["file", "model.safetensors"]


def test_a_damaged_stored_stage_is_dropped(tmp_path, saved):
    store = StageStore(tmp_path / ".stages")
    (tmp_path / "log.csv").write_text("epoch\n0\n")
    store.put("key", tmp_path)
    stored = tmp_path / ".stages/key/model.safetensors"
    content = stored.read_bytes()
    stored.unlink()
    stored.write_bytes(content[:-3] + b"abc")
    assert not store.take("key", tmp_path / "a") and not stored.exists()


def test_who_waits_for_another_process_says_so_first(tmp_path):
    store, said, order = StageStore(tmp_path / ".stages"), threading.Event(), []

    def second():
        with store.lock("key", said.set):
            order.append("second")

    waiting = threading.Thread(target=second)
    with store.lock("key", lambda: pytest.fail("nobody was there")):
        waiting.start()
        assert said.wait(10)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("name", ["last", "ema"])
def test_a_stored_stage_whose_other_weights_are_damaged_is_dropped(tmp_path, saved, name):
    store = StageStore(tmp_path / ".stages")
    (tmp_path / "log.csv").write_text("epoch\n0\n")
    for other in ("last", "ema"):
        (tmp_path / f"{other}.safetensors").write_bytes(saved.read_bytes())
    store.put("key", tmp_path)
    stored = tmp_path / f".stages/key/{name}.safetensors"
    stored.unlink()
    stored.write_bytes(saved.read_bytes()[:-3] + b"abc")
    assert not store.take("key", tmp_path / "a")
