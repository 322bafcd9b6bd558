"""What is known of each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid_srdl.embeddings import UNKNOWN, Embeddings
from reid_srdl.errors import UserError
from reid_srdl.retrieval import rows

from .conftest import embedded


def test_rows_survive_as_bytes():
    table = rows.incoming(embedded(5)).rows(100, 7)
    table.paths[2] = "Zoë/雪.jpg"
    read = rows.of_bytes(rows.to_bytes(table), Path("x"))
    for name in vars(table):
        np.testing.assert_array_equal(getattr(read, name), getattr(table, name))
    assert read.ids.tolist() == [100, 101, 102, 103, 104] and read.places.tolist() == [7, 8, 9, 10, 11]
    with pytest.raises(UserError, match="x is damaged"):
        rows.of_bytes(b"PAR1 nothing", Path("x"))


def test_rows_are_found_by_path_place_and_id():
    table = rows.incoming(embedded(6)).rows(10, 0).take(np.array([0, 2, 5]))
    assert table.holding([table.paths[1], "nobody"]).tolist() == [False, True, False]
    assert table.at(np.array([5, 0])).tolist() == [2, 0] and table.of_ids(np.array([12])).tolist() == [1]
    for missing in (11, 16, 9):
        with pytest.raises(KeyError, match=str(missing)):
            table.of_ids(np.array([10, missing]))
    assert len(table.followed_by(table)) == 6


def test_junk_goes_and_the_later_of_a_path_stays():
    given = Embeddings(np.arange(5, dtype=np.float32)[:, None], paths=["a", "b", "a", "c", "b"], labels=[1, 2, 3, -1, -1])
    made = rows.incoming(given)
    assert made.paths.tolist() == ["b", "a"] and made.vectors[:, 0].tolist() == [1, 2] and made.labels.tolist() == [2, 3]
    assert made.junk == 2 and made.repeated == 1 and (made.cameras == UNKNOWN).all()
    with pytest.raises(UserError, match="no images"):
        rows.incoming(given.take(np.empty(0, int)))
