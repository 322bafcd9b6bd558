import contextlib

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.evaluation import predictions
from reid_srdl.evaluation.predictions import Predictions

SAID = Predictions(("a.png", "b.png"), np.array([3, 5]), np.array([5, 5]), np.float32([0.5, 0.9]), np.float32([0.25, 0.9]), np.array([3, 5]), ("ash", "beech"))


def test_predictions_come_back_as_they_were(tmp_path):
    predictions.save(SAID, tmp_path / "predictions.npz")
    back = predictions.load(tmp_path / "predictions.npz")
    assert back.paths == SAID.paths and back.names == SAID.names and len(back) == 2
    for column in ("labels", "predicted", "confidence", "of_label", "classes"):
        np.testing.assert_array_equal(getattr(back, column), getattr(SAID, column))
    assert back.right.tolist() == [False, True] and [back.name(3), back.name(5)] == ["ash", "beech"]


def test_what_is_no_such_file_is_named(tmp_path):
    file = tmp_path / "predictions.npz"
    np.savez(file, vectors=np.eye(2))
    with pytest.raises(UserError, match=r"predictions\.npz cannot be read"):
        predictions.load(file)
    predictions.save(SAID, file)
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):  # most do no harm, or are noticed by the checksum; none may be a traceback
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :])
        with contextlib.suppress(UserError):
            predictions.load(file)
    file.write_bytes(b"")
    with pytest.raises(UserError, match="cannot be read"):
        predictions.load(file)
    np.savez(file, **{name: np.array([object()]) for name in ("paths", "names", "labels", "predicted", "confidence", "of_label", "classes")})
    with pytest.raises(UserError, match="cannot be read"):
        predictions.load(file)
