"""What only the backend milvus has: a place that is written down, and what is said when something else is there."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, open_index
from reid_srdl.retrieval.milvus_collection import Collection

from .conftest import MILVUS_QUERIES, Killed, embedded, holds, killed_after, needs_milvus

pytestmark = needs_milvus


@pytest.fixture
def path(milvus_path):
    return milvus_path


def test_index_and_folder_move_together(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    path.rename(tmp_path / "elsewhere" / "g.index")
    with pytest.raises(UserError, match="the Milvus Lite of .* is gone: there is no .*elsewhere/g.index.db"):
        open_index(tmp_path / "elsewhere" / "g.index")
    shutil.move(tmp_path / "g.index.db", tmp_path / "elsewhere" / "g.index.db")
    holds(tmp_path / "elsewhere" / "g.index", embedded(30))


def test_a_link_to_an_index_leads_to_its_collection_and_journal(path, tmp_path, monkeypatch):
    link = tmp_path / "elsewhere" / "link.index"
    link.parent.mkdir()
    link.symlink_to(path)
    index = open_index(link)
    killed_after(0, monkeypatch, index._collection, "delete")
    with pytest.raises(Killed):
        index.delete(list(embedded(12).paths))
    monkeypatch.undo()
    index.close()
    holds(path, embedded(30).take(np.arange(12, 30)))
    create_index(link, embedded(7), backend="milvus", replace=True)[0].close()  # in the collection that it has
    holds(path, embedded(7))
    assert [entry.name for entry in link.parent.iterdir()] == ["link.index"]


def test_the_file_says_where_and_keeps_no_secret(path):
    values = json.loads(path.read_text())
    assert values["backend"] == "milvus" and values["uri"] == "g.index.db" and values["collection"] == "gallery" and "token" not in path.read_text()
    values["collection"] = "another"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="damaged: its checksum"):
        open_index(path)
    path.write_text(path.read_text()[:50])
    with pytest.raises(UserError, match="cannot be read as JSON"):
        open_index(path)


def dropped(path, name: str = "gallery") -> None:
    collection = Collection(str(path) + ".db", name)
    collection.drop()
    collection.close()


@pytest.mark.parametrize(("model", "message"), [("b", "is not the one that .*g.index describes"), ("a", "has been built anew by another index since .*g.index was. Build .* another --collection")])
def test_a_collection_that_was_built_anew_for_another_index_is_not_searched(path, tmp_path, model, message):
    dropped(path)
    create_index(tmp_path / "h.index", embedded(30, model=model * 64), backend="milvus", uri=str(tmp_path / "g.index.db"), metric="cosine")[0].close()
    with pytest.raises(UserError, match=message):
        open_index(path)


@pytest.mark.parametrize("own", [False, True])
def test_another_index_s_collection_is_never_built_anew(path, tmp_path, own):
    uri = str(tmp_path / "g.index.db")
    if own:  # it had one of the same name, in another place
        create_index(tmp_path / "h.index", embedded(5), backend="milvus")[0].close()
    with pytest.raises(UserError, match="has a collection gallery already, which is not that of .*h.index. Choose another name, as collection or --collection"):
        create_index(tmp_path / "h.index", embedded(5), backend="milvus", uri=uri, replace=True)
    holds(path, embedded(30))
    create_index(tmp_path / "h.index", embedded(5), backend="milvus", uri=uri, collection="other", replace=True)[0].close()
    create_index(tmp_path / "h.index", embedded(7), backend="milvus", uri=uri, collection="other", replace=True)[0].close()
    holds(tmp_path / "h.index", embedded(7))
    holds(path, embedded(30))


def test_a_collection_that_was_taken_over_is_left_to_its_new_index(path, tmp_path):
    dropped(path)
    create_index(tmp_path / "h.index", embedded(5), backend="milvus", uri=str(tmp_path / "g.index.db"))[0].close()
    with pytest.raises(UserError, match="which is not that of .*g.index"):
        create_index(path, embedded(30), backend="milvus", replace=True)
    holds(tmp_path / "h.index", embedded(5))


def test_a_path_that_milvus_cannot_hold_leaves_the_index_as_it_is(path):
    long = dataclasses.replace(embedded(2), paths=["a.jpg", "x" * 70_000])
    with pytest.raises(UserError, match="too long for Milvus. It takes 65,535 bytes"):
        create_index(path, long, backend="milvus", replace=True)
    index = open_index(path)
    with pytest.raises(UserError, match="too long for Milvus"):
        index.add(long)
    index.close()
    holds(path, embedded(30))


def test_a_collection_that_is_gone_is_said(path):
    dropped(path)
    with pytest.raises(UserError, match=r"has no collection gallery \(any more\)"):
        open_index(path)


def test_one_path_is_not_the_index_and_its_database(tmp_path):
    with pytest.raises(UserError, match="x.db cannot be the index and its Milvus Lite at once. Give its uri another path"):
        create_index(tmp_path / "x.db", embedded(3), backend="milvus", uri=str(tmp_path / "y" / ".." / "x.db"))
    assert not list(tmp_path.iterdir())


def test_milvus_hands_out_so_many_at_most(path):
    index = open_index(path)
    with pytest.raises(UserError, match="top_k is 20,000, and Milvus hands out 16,384 at most"):
        index.search(MILVUS_QUERIES, 20_000)
    index.close()


def test_who_searches_a_collection_whose_place_another_one_took_is_told(path):
    index = open_index(path)
    create_index(path, embedded(4), backend="milvus", replace=True)[0].close()
    with pytest.raises(UserError, match="if it was built anew meanwhile, is there again when it is opened anew"):
        index.search(MILVUS_QUERIES, 3)
    assert index.refresh() and len(index.search(MILVUS_QUERIES, 3)) == 4
    index.close()


def test_a_name_leaves_room_for_the_mark_of_one_that_is_built_anew(tmp_path):
    with pytest.raises(UserError, match="is no name of a collection. .*200 at most"):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", collection="n" * 201)
    for _ in range(2):
        create_index(tmp_path / "g.index", embedded(3), backend="milvus", collection="n" * 200, replace=True)[0].close()
