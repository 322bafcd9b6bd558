"""Embeddings of several files as those of one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from reid_srdl.embeddings import UNKNOWN, Embeddings, joined
from reid_srdl.errors import UserError


def test_embeddings_are_joined_with_what_is_known_of_each(some):
    one = some(rows=2)
    other = Embeddings(one.vectors + 6, paths=["x", "y"], cameras=[4, 5], model=one.model)
    both = joined([one, other])
    assert both.paths == (*one.paths, "x", "y") and both.labels.tolist() == [-1, 0, UNKNOWN, UNKNOWN] and both.cameras.tolist() == [0, 1, 4, 5]
    np.testing.assert_array_equal(both.vectors, np.arange(12, dtype=np.float32).reshape(4, 3))
    assert joined([one]) is one and joined([one, dataclasses.replace(other, paths=None)]).paths is None
    for stranger in (dataclasses.replace(one, model="b"), some(rows=2, dimension=4)):
        with pytest.raises(UserError, match="different networks"):
            joined([one, stranger])


def flipped(some, *flips):
    return [dataclasses.replace(some(), flip=flip) for flip in flips]


@pytest.mark.parametrize("flips", [(True, False), (None, True, False)])
def test_embeddings_with_mirror_images_are_not_joined_with_those_without(flips, some):
    with pytest.raises(UserError, match="averaged with those of mirrored images, and some are not"):
        joined(flipped(some, *flips))


def test_of_joined_embeddings_mirror_images_are_known_where_one_part_knows(some):
    assert joined(flipped(some, None, True)).flip is True and joined(flipped(some, None, None)).flip is None
