"""What scoring has to know, and what it says where that is missing."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest
import torch

from reid_srdl.devices import ALONE, Place
from reid_srdl.embeddings import Embeddings, traits
from reid_srdl.errors import UserError
from reid_srdl.evaluation.columns import Columns, require, require_one_network

WHOLE = Embeddings(np.zeros((1, 2)), labels=[1], cameras=[1])


def of_both(own, other, monkeypatch):
    monkeypatch.setattr(Place, "gathered", lambda self, mine: [mine, (traits(other), (other.labels, other.cameras))])
    return Columns.of_all(own, Place(torch.device("cpu"), world=2))


def test_columns_of_all_parts_are_those_of_the_whole(monkeypatch):
    found = of_both(WHOLE, dataclasses.replace(WHOLE, labels=[7], cameras=[2]), monkeypatch)
    assert found.labels.tolist() == [1, 7] and found.cameras.tolist() == [1, 2] and len(found) == 2
    without = dataclasses.replace(WHOLE, cameras=None)
    assert of_both(without, without, monkeypatch).cameras is None
    monkeypatch.undo()
    alone = Columns.of_all(WHOLE, ALONE)
    assert (alone.labels.tolist(), alone.cameras.tolist(), len(alone)) == ([1], [1], 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model": "b"}, "of different networks"), ({"vectors": np.zeros((1, 3))}, "of different networks"), ({"flip": True}, "some are not"), ({"cameras": None}, "only some parts of the gallery have cameras")],
)
def test_parts_that_do_not_belong_together_are_refused_though_each_process_has_but_one(change, message, monkeypatch):
    own = dataclasses.replace(WHOLE, model="a", flip=False)
    with pytest.raises(UserError, match=message):
        of_both(own, dataclasses.replace(own, **change), monkeypatch)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.zeros((1, 2)), "the query is of type ndarray"),
        (Embeddings(np.zeros((1, 2)), cameras=[1]), "the query vectors have no labels"),
        (Embeddings(np.zeros((1, 2)), labels=[1]), "the query vectors have no cameras"),
    ],
)
def test_what_is_missing_is_named(query, message):
    with pytest.raises(UserError, match=message):
        require(query, WHOLE, same_camera=False)


def test_cameras_that_nobody_looks_at_may_be_missing():
    require(WHOLE, Embeddings(np.zeros((1, 2)), labels=[1]), same_camera=True)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "b" * 64, "flip": False}, "the query vectors are of the network aaaaaaaaaaaa…, and the gallery vectors of bbbbbbbbbbbb…"),
        ({"model": "a" * 64, "flip": True}, "the query vectors are not averaged with those of mirrored images, and the gallery vectors are"),
        ({}, None),
        ({"model": "a" * 64}, None),
        ({"flip": False}, None),
    ],
)
def test_what_two_networks_made_is_not_compared_where_that_is_known(other, message):
    query, gallery = dataclasses.replace(WHOLE, model="a" * 64, flip=False), dataclasses.replace(WHOLE, **other)
    with pytest.raises(UserError, match=message) if message else contextlib.nullcontext():
        require_one_network(query, gallery)
