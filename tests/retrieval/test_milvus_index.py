"""What only the backend milvus has: the journal that makes changes whole, and a place that is written down."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, keeping, milvus_index, open_index
from reid_srdl.retrieval.milvus_collection import Collection

from .conftest import DIMENSION, Killed, embedded, nearest, needs_milvus

pytestmark = needs_milvus
QUERIES = np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("reid_srdl.retrieval.milvus_collection._MESSAGE_BYTES", 5000)  # eight rows a message
    create_index(tmp_path / "g.index", embedded(30), backend="milvus")[0].close()
    return tmp_path / "g.index"


def killed_after(calls: int, monkeypatch: pytest.MonkeyPatch, target: object, name: str) -> None:
    """The function dies when it is called once more than that."""
    real, left = getattr(target, name), [calls]

    def dying(*args, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return real(*args, **options)

    monkeypatch.setattr(target, name, dying)


def holds(path, gallery) -> None:
    index = open_index(path)
    try:
        assert len(index) == len(gallery)
        np.testing.assert_array_equal(index.search(QUERIES, 6).paths, nearest(QUERIES, gallery, 6))
        assert not milvus_index._journal(path).exists()
    finally:
        index.close()


def test_a_kill_between_two_messages_leaves_the_former_gallery(path, monkeypatch):
    index = open_index(path)
    client = index._collection._client
    killed_after(2, monkeypatch, client, "insert")
    with pytest.raises(Killed):
        index.add(embedded(40, first=20, seed=3))
    monkeypatch.undo()
    assert len(index) == 30 + 16 and milvus_index._journal(path).exists()  # what the next one finds
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
    assert len(index) == 30 and not milvus_index._journal(path).exists()
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
        assert milvus_index._journal(path).exists() and len(reader) == 38
        reader.close()
    index.close()
    holds(path, embedded(30))


def test_a_building_that_was_broken_off_is_said_and_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr("reid_srdl.retrieval.milvus_collection._MESSAGE_BYTES", 5000)
    path = tmp_path / "g.index"
    create_index(path, embedded(9), backend="milvus")[0].close()
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(30), backend="milvus", replace=True)
    monkeypatch.undo()
    with pytest.raises(UserError, match="the building of .*g.index was broken off. Build it again with --replace"):
        open_index(path)
    create_index(path, embedded(30), backend="milvus", replace=True)[0].close()
    holds(path, embedded(30))


def test_a_building_into_another_collection_leaves_the_index_as_it_is(path, monkeypatch):
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(12), backend="milvus", replace=True, collection="other")
    monkeypatch.undo()
    index = open_index(path)
    assert len(index) == 30 and index.refresh() is False
    index.add(embedded(2, first=30))  # which takes away what was begun
    assert len(index) == 32 and not milvus_index._journal(path).exists()
    index.close()
    left = Collection(f"{path}.db", "other")
    assert not left.exists()
    left.close()


def test_an_open_index_that_is_built_anew_is_not_searched_as_if_it_were_the_old_one(path):
    """Its collection has the same name, and holds vectors of another kind."""
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


def test_an_open_index_is_not_searched_while_it_is_built_anew(path, monkeypatch):
    index = open_index(path)
    index.close()
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(12), backend="milvus", replace=True)
    monkeypatch.undo()
    with keeping.changing(path), pytest.raises(UserError, match="has begun and is not finished. Wait for it"):
        index.refresh()
    with pytest.raises(UserError, match="is not finished"):
        len(index)
    with pytest.raises(UserError, match="was broken off"):
        index.refresh()


def test_a_first_building_that_was_broken_off_may_be_repeated(tmp_path, monkeypatch):
    path = tmp_path / "g.index"
    killed_after(0, monkeypatch, Collection, "load")
    with pytest.raises(Killed):
        create_index(path, embedded(30), backend="milvus")
    monkeypatch.undo()
    assert not path.exists()
    create_index(path, embedded(30), backend="milvus")[0].close()
    holds(path, embedded(30))


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
        index.search(QUERIES, 20_000)
    index.close()
