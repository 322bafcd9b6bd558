from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings


@pytest.fixture
def some():
    """Makes embeddings with all columns."""

    def make(rows: int = 5, dimension: int = 3) -> Embeddings:
        vectors = np.arange(rows * dimension, dtype=np.float32).reshape(rows, dimension)
        return Embeddings(vectors, tuple(f"a/ü{row}.jpg" for row in range(rows)), np.arange(rows) - 1, np.arange(rows) % 2, "abc")

    return make
