"""Vectors with columns."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from reid_srdl.embeddings import Embeddings, no_text, short_hash
from reid_srdl.errors import UserError


def test_paths_in_bytes_are_those_of_the_file_system():
    assert Embeddings(np.ones((1, 2)), paths=(b"caf\xc3\xa9.jpg",)).paths == ("café.jpg",)


def test_vectors_of_no_numbers_are_none():
    with pytest.raises(UserError, match="are no embeddings"):
        Embeddings(np.ones((3, 0)))


def test_what_is_not_finite_is_named_by_row_and_path(some):
    vectors = some().vectors.copy()
    vectors[3, 1] = np.nan
    with pytest.raises(UserError, match=re.escape("row 3 (a/ü3.jpg)")):
        Embeddings(vectors, some().paths)
    with pytest.raises(UserError, match="row 0"):
        Embeddings(np.array([[1e300]]))  # too large for float32


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"vectors": np.zeros(3)}, "no embeddings"),
        ({"vectors": np.array([["a"]])}, "no embeddings"),
        ({"vectors": np.zeros((2, 3)), "labels": np.zeros(3, int)}, "2 vectors, but labels"),
        ({"vectors": np.zeros((2, 3)), "labels": np.array(["a", "b"])}, "not whole numbers"),
        ({"vectors": np.zeros((2, 3)), "cameras": np.array([1.5, 2])}, "not whole numbers"),
        ({"vectors": np.zeros((2, 3)), "labels": np.array([True, False])}, "labels are of type bool, not whole numbers"),
        ({"vectors": np.zeros((2, 3)), "paths": ("a",)}, "1 paths"),
        ({"vectors": np.zeros((2, 3)), "paths": np.array([0, 1])}, "hold .*0.*, which is no path.*labels="),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, message):
    with pytest.raises(UserError, match=message):
        Embeddings(**columns)


def test_take_keeps_rows_together(some):
    taken = some().take(np.array([False, True, False, True, False]))
    assert taken.paths == ("a/ü1.jpg", "a/ü3.jpg") and taken.labels.tolist() == [0, 2]
    np.testing.assert_array_equal(taken.vectors, some().vectors[[1, 3]])


def test_a_memory_mapped_array_is_not_copied(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.ones((4, 2), np.float32))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(Embeddings(mapped).vectors, mapped)


def test_tensors_are_taken_as_they_come_out_of_a_network():
    tensor = torch.arange(6.0).reshape(2, 3).bfloat16().requires_grad_()
    assert np.array_equal(Embeddings(tensor).vectors, np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("label", [np.uint64(2**63), 1e300])
def test_labels_beyond_what_can_be_kept_are_named(label):
    with pytest.raises(UserError, match="too large a number"):
        Embeddings(np.ones((2, 2)), labels=np.array([1, label], dtype=type(label)))


def test_a_path_that_is_no_text_is_shown_whatever_is_wrong_with_it():
    assert no_text(("a.jpg", "caf\udce9.jpg")) == r"caf\xe9.jpg" and no_text(("b\ud800.jpg",)) == r"b\ud800.jpg"


def test_networks_are_named_shortly():
    assert short_hash("0123456789abcdef") == "0123456789ab…" and short_hash("") == "(unknown)"
