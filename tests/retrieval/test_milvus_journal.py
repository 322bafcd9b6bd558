"""Changes of an index in a Milvus that do not come to their end: what is undone, what is finished, and what serves meanwhile."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, keeping, milvus_collection, milvus_connection, milvus_index, open_index
from reid_srdl.retrieval.milvus_collection import Collection
from reid_srdl.retrieval.milvus_journal import begun_in, journal_of, note

from .conftest import MILVUS_QUERIES, Killed, embedded, holds, killed_after, nearest, needs_milvus

pytestmark = needs_milvus


@pytest.fixture
def path(milvus_path):
    return milvus_path


def test_a_kill_between_two_messages_leaves_the_former_gallery(path, monkeypatch):
    index = open_index(path)
    client = index._collection._client
    killed_after(2, monkeypatch, client, "insert")
    with pytest.raises(Killed):
        index.add(embedded(40, first=20, seed=3))
    monkeypatch.undo()
    assert len(index) == 30 + 16 and journal_of(path).exists()  # what the next one finds
    index.close()
    holds(path, embedded(30))


def test_a_kill_after_the_last_message_leaves_the_new_gallery(path, monkeypatch):
    index = open_index(path)
    again = embedded(20, first=20, seed=3)
    killed_after(0, monkeypatch, index._collection, "delete")  # the vectors that ten new ones take the place of
    with pytest.raises(Killed):
        index.add(again)
    monkeypatch.undo()
    index.close()
    old = embedded(30).take(np.arange(20))
    holds(path, type(old)(np.concatenate([old.vectors, again.vectors]), paths=old.paths + again.paths))


def test_a_deletion_that_was_begun_is_finished(path, monkeypatch):
    index = open_index(path)
    killed_after(0, monkeypatch, index._collection, "delete")
    with pytest.raises(Killed):
        index.delete(list(embedded(12).paths))
    monkeypatch.undo()
    assert len(index) == 30
    index.close()
    holds(path, embedded(30).take(np.arange(12, 30)))


def test_a_refusal_in_the_middle_is_undone_at_once(path, monkeypatch):
    index = open_index(path)
    real, calls = index._collection._client.insert, []

    def refusing(*args, **options):
        from pymilvus.exceptions import MilvusException

        calls.append(1)
        if len(calls) == 3:
            raise MilvusException(message="disk quota exceeded")
        return real(*args, **options)

    monkeypatch.setattr(index._collection._client, "insert", refusing)
    with pytest.raises(UserError, match="refused: disk quota exceeded"):
        index.add(embedded(40, first=30))
    assert len(index) == 30 and not journal_of(path).exists()
    index.close()


def test_whoever_only_searches_does_not_touch_what_a_living_writer_has_begun(path, monkeypatch):
    index = open_index(path)
    killed_after(1, monkeypatch, index._collection._client, "insert")
    with keeping.changing(path):
        with pytest.raises(Killed):
            monkeypatch.setattr(milvus_index, "changing", lambda *_, **__: __import__("contextlib").nullcontext(True))
            index.add(embedded(40, first=30))
        monkeypatch.undo()
        reader = open_index(path)
        assert journal_of(path).exists() and len(reader) == 38
        reader.close()
    index.close()
    holds(path, embedded(30))


def collections(path) -> list[str]:
    """Names of all that its Milvus Lite holds."""
    collection = Collection(f"{path}.db", "any")
    try:
        return sorted(collection._client.list_collections())
    finally:
        collection.close()


@pytest.mark.parametrize("where", ["create", "insert", "load"])
def test_a_building_anew_that_is_broken_off_leaves_the_former_index(path, monkeypatch, where):
    index = open_index(path)
    killed_after(0, monkeypatch, Collection, where)
    with pytest.raises(Killed):
        create_index(path, embedded(12, seed=4), backend="milvus", replace=True)
    monkeypatch.undo()
    assert index.refresh() is False and len(index) == 30 and journal_of(path).exists()
    index.close()
    create_index(path, embedded(12, seed=4), backend="milvus", replace=True)[0].close()
    holds(path, embedded(12, seed=4))
    assert len(collections(path)) == 1


@pytest.mark.parametrize("where", ["create", "insert", "load"])
def test_a_building_anew_that_fails_leaves_nothing_of_itself(path, monkeypatch, where):
    def refuse(*_, **__):
        raise UserError("the Milvus refused: its disk is full")

    monkeypatch.setattr(Collection, where, refuse)
    with pytest.raises(UserError, match="disk is full"):
        create_index(path, embedded(12, seed=4), backend="milvus", replace=True)
    monkeypatch.undo()
    assert collections(path) == ["gallery"]
    holds(path, embedded(30))


def test_a_kill_after_a_building_anew_leaves_the_new_index(path, monkeypatch):
    killed_after(0, monkeypatch, Collection, "drop")
    with pytest.raises(Killed):
        create_index(path, embedded(12, seed=4), backend="milvus", replace=True)
    monkeypatch.undo()
    assert len(collections(path)) == 2
    index = open_index(path)
    assert len(index) == 12
    index.add(embedded(2, first=50, seed=4))  # which takes away the former one
    index.close()
    assert len(collections(path)) == 1 and not journal_of(path).exists()


def test_a_change_that_was_begun_outlives_a_building_anew_that_was_broken_off(path, monkeypatch):
    index = open_index(path)
    killed_after(1, monkeypatch, index._collection._client, "insert")
    with pytest.raises(Killed):
        index.add(embedded(40, first=30))
    index.close()
    monkeypatch.undo()
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(12, seed=4), backend="milvus", replace=True)
    monkeypatch.undo()
    holds(path, embedded(30))
    assert collections(path) == ["gallery"]


def test_an_index_is_built_anew_again_and_again_under_the_name_that_was_asked_for(path):
    for count in (3, 4, 5):
        create_index(path, embedded(count), backend="milvus", replace=True, collection="gallery")[0].close()
        (name,) = collections(path)
        assert name.startswith("gallery_") and json.loads(path.read_text())["collection"] == name
    holds(path, embedded(5))


def test_a_building_into_another_collection_leaves_the_index_as_it_is(path, monkeypatch):
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(12), backend="milvus", replace=True, collection="other")
    monkeypatch.undo()
    index = open_index(path)
    assert len(index) == 30 and index.refresh() is False
    index.add(embedded(2, first=30))  # which takes away what was begun
    assert len(index) == 32 and not journal_of(path).exists()
    index.close()
    left = Collection(f"{path}.db", "other")
    assert not left.exists()
    left.close()


def test_an_open_index_that_is_built_anew_is_not_searched_as_if_it_were_the_old_one(path):
    """Its vectors are of another kind."""
    index = open_index(path)
    index.close()
    create_index(path, embedded(30), backend="milvus", metric="cosine", replace=True)[0].close()
    with pytest.raises(UserError, match="built anew by the cosine distance"):
        index.refresh()
    for ask in (lambda: index.search(embedded(1).vectors, 3), lambda: len(index), index.cameras, lambda: index.add(embedded(1, first=50))):
        with pytest.raises(UserError, match="built anew by the cosine distance"):
            ask()
    create_index(path, embedded(4), backend="milvus", replace=True)[0].close()
    assert index.refresh() and len(index) == 4 and len(index.search(embedded(1).vectors, 3).ids[0]) == 3
    index.close()


def test_an_open_index_is_searched_while_it_is_built_anew(path, monkeypatch):
    index, real = open_index(path), Collection.load

    def searched(self, *about):
        assert index.refresh() is False and len(index) == 30
        np.testing.assert_array_equal(index.search(MILVUS_QUERIES, 6).paths, nearest(MILVUS_QUERIES, embedded(30), 6))
        return real(self, *about)

    monkeypatch.setattr(Collection, "load", searched)
    create_index(path, embedded(12), backend="milvus", replace=True)[0].close()
    monkeypatch.undo()
    assert index.refresh() and len(index) == 12
    index.close()


def test_a_first_building_that_was_broken_off_may_be_repeated(tmp_path, monkeypatch):
    path = tmp_path / "g.index"
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(30), backend="milvus")
    monkeypatch.undo()
    assert not path.exists()
    create_index(path, embedded(30), backend="milvus")[0].close()
    holds(path, embedded(30))


def elsewhere(path, address: str = "http://127.0.0.1:1") -> None:
    """A building that was broken off in a Milvus that no longer answers."""
    note(path, buildings=[[[address, "other", "0" * 16], None]])


def test_a_building_in_a_milvus_that_does_not_answer_hinders_no_change(path):
    elsewhere(path)
    index = open_index(path)
    index.add(embedded(3, first=30))
    assert index.delete(list(embedded(1).paths)) == 1
    assert len(index) == 32
    index.close()
    create_index(path, embedded(5), backend="milvus", replace=True)[0].close()
    assert begun_in(path) == {"buildings": [[["http://127.0.0.1:1", "other", "0" * 16], None]]}, "it is dropped once that answers"
    index = open_index(path)
    assert len(index) == 5
    index.close()


@pytest.mark.parametrize("change", ["add", "replace"])
def test_a_token_goes_to_no_address_that_stands_in_a_journal(path, monkeypatch, change):
    told, real = [], milvus_connection.connected
    monkeypatch.setattr(milvus_collection, "connected", lambda uri, token: told.append((uri, token)) or real(uri, token))
    elsewhere(path)
    if change == "add":
        index = open_index(path, token="alice:secret")
        index.add(embedded(3, first=30))
    else:
        index, _ = create_index(path, embedded(3), backend="milvus", replace=True, token="alice:secret")
    index.close()
    assert ("http://127.0.0.1:1", None) in told and {token for uri, token in told if uri != "http://127.0.0.1:1"} == {"alice:secret"}


def test_a_former_collection_that_cannot_be_dropped_yet_keeps_no_addition_from_being_undone(path, monkeypatch):
    own = json.loads(path.read_text())
    note(path, buildings=[[[own["uri"], own["collection"], own["build"]], ["http://127.0.0.1:1", "former", "0" * 16]]])
    index = open_index(path)
    killed_after(1, monkeypatch, index._collection._client, "insert")
    with pytest.raises(Killed):
        index.add(embedded(40, first=30))
    index.close()
    monkeypatch.undo()
    index = open_index(path)
    assert len(index) == 30 and set(begun_in(path)) == {"buildings"}
    index.close()
