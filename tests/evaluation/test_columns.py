"""What scoring has to know, and what it says where that is missing."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation.columns import require

WHOLE = Embeddings(np.zeros((1, 2)), labels=[1], cameras=[1])


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
