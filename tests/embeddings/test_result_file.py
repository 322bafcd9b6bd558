"""The field's ``.mat``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from reid_srdl import embeddings
from reid_srdl.errors import UserError


def result_file(path: Path, **changes) -> None:
    values = {
        "query_f": np.ones((2, 3)), "query_label": np.array([[1, 2]]), "query_cam": np.array([[1, 1]]),
        "gallery_f": np.arange(12.0).reshape(4, 3), "gallery_label": np.array([[1, 2, 0, -1]]), "gallery_cam": np.array([[1, 2, 3, 4]]),
    }  # fmt: skip
    scipy.io.savemat(path, {name: value for name, value in (values | changes).items() if value is not None})


def test_the_fields_result_file(tmp_path: Path):
    result_file(tmp_path / "x.mat")
    query, gallery = embeddings.load_pair([tmp_path / "x.mat"])
    assert query.labels.tolist() == [1, 2] and gallery.labels.tolist() == [1, 2, 0, -1] and gallery.cameras.tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(gallery.vectors, np.arange(12).reshape(4, 3))
    result_file(tmp_path / "t.mat", gallery_f=np.arange(12.0).reshape(4, 3).T)
    np.testing.assert_array_equal(embeddings.load_result_mat(tmp_path / "t.mat")[1].vectors, gallery.vectors)


def test_result_files_that_cannot_be_used(tmp_path: Path):
    result_file(tmp_path / "x.mat", query_cam=None)
    with pytest.raises(UserError, match="lacks query_cam"):
        embeddings.load_result_mat(tmp_path / "x.mat")
    (tmp_path / "y.mat").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="cannot be read"):
        embeddings.load_result_mat(tmp_path / "y.mat")
