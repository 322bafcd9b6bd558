"""A collection of a Milvus."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index
from reid_srdl.retrieval.milvus_collection import Collection
from reid_srdl.retrieval.milvus_index import keys

from .conftest import embedded, needs_milvus

pytestmark = needs_milvus


@pytest.fixture
def uri(tmp_path):
    return str(tmp_path / "lite.db")


@pytest.mark.parametrize("name", ["", "1st", "my-gallery", "a b", "galerie_é", "n" * 256])
def test_names_that_are_none_are_said_before_anything_is_opened(uri, name):
    with pytest.raises(UserError, match="no name of a collection"):
        Collection(uri, name)


def test_a_collection_that_somebody_else_made_is_left_alone(uri, tmp_path):
    from pymilvus import MilvusClient

    theirs = Collection(uri, "theirs")
    try:
        MilvusClient(uri).create_collection("theirs", dimension=4)
        with pytest.raises(UserError, match="has a collection theirs already"):
            create_index(tmp_path / "g.index", embedded(3), backend="milvus", uri=uri, collection="theirs", replace=True)
        with pytest.raises(UserError, match="was not made here, and is left alone"):
            theirs.drop()
        assert theirs.exists()
    finally:
        theirs.close()


def test_two_galleries_live_beside_each_other(uri, tmp_path):
    one, _ = create_index(tmp_path / "one.index", embedded(5), backend="milvus", uri=uri, collection="one")
    two, _ = create_index(tmp_path / "two.index", embedded(7, first=5), backend="milvus", uri=uri, collection="two")
    with pytest.raises(UserError, match="has a collection one already"):
        create_index(tmp_path / "three.index", embedded(2), backend="milvus", uri=uri, collection="one")
    assert (len(one), len(two)) == (5, 7)
    one.close()
    assert len(two) == 7  # its server is still up
    two.close()


def test_paths_of_the_same_key_are_told_apart(uri, tmp_path, monkeypatch):
    index, _ = create_index(tmp_path / "g.index", embedded(4), backend="milvus", uri=uri)
    path = embedded(4).paths[1]
    key = int(keys([path])[0])
    assert len(index._collection.ids_of({key: path})) == 1 and index._collection.ids_of({key: "another path"}) == []
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.search(np.ones((1, index.dimension), np.float32), 1)


def test_many_rows_and_queries_go_in_pieces(uri, tmp_path, monkeypatch):
    monkeypatch.setattr("reid_srdl.retrieval.milvus_collection._MESSAGE_BYTES", 5000)  # eight rows
    monkeypatch.setattr("reid_srdl.retrieval.milvus_collection._LITE_BYTES", 10_000)  # three queries
    gallery = embedded(50)
    index, added = create_index(tmp_path / "g.index", gallery, backend="milvus", uri=uri)
    assert added.images == len(index) == 50
    hits = index.search(gallery.vectors, 1)
    assert hits.paths[:, 0].tolist() == list(gallery.paths)
    np.testing.assert_array_equal(index.vectors(hits.ids[:, 0]), gallery.vectors)
    index.close()
