"""MATLAB files, whole and broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import mat_file
from reid_srdl.errors import UserError


def test_a_broken_mat_file_is_a_user_error(tmp_path: Path):
    import scipy.io

    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"index": [1, 2, 3]}, do_compression=True)
    assert mat_file.read_mat(path, "index")["index"].tolist() == [[1, 2, 3]]
    with pytest.raises(UserError, match="has no other"):
        mat_file.read_mat(path, "other")
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match="not a readable .mat"):
        mat_file.read_mat(path, "index")
