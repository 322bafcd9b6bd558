"""What only the backend faiss has: deleting from graphs, one file for all, and searches that need no lock."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from reid_srdl import files
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, faiss_index, open_index
from reid_srdl.retrieval.faiss_index import COMPACT_AT

from .conftest import DIMENSION, Killed, embedded, nearest

QUERIES = np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)


@pytest.mark.parametrize("factory", ["HNSW8", "HNSW8_SQ8", "IVF4,Flat", "IVF4,SQ8", "SQ8", "PCA12,Flat", "PCA12,HNSW8"])
def test_deleted_images_are_gone_from_every_kind(factory, tmp_path):
    gallery = embedded(300)
    index, _ = create_index(tmp_path / "g.index", gallery, factory=factory)
    gone = list(gallery.paths[:45])
    assert index.delete(gone) == 45
    index.add(embedded(30, first=300))
    for one in (index, open_index(tmp_path / "g.index")):
        assert len(one) == 285
        hits = one.search(QUERIES, 285)
        found = {path for path in hits.paths.ravel() if path}
        assert not found & set(gone) and f"it's \"{310}\".jpg" in found
        for number, path in zip(hits.ids[0, :5], hits.paths[0, :5], strict=True):
            # Ids stay with their images, whatever number the vector has in faiss by now.
            own = one.search(one.vectors(np.array([number])), 1)
            assert own.paths[0, 0] == path


def test_a_graph_passes_over_the_deleted_until_they_are_many(tmp_path):
    gallery = embedded(200)
    index, _ = create_index(tmp_path / "g.index", gallery, factory="HNSW8")
    index.delete(list(gallery.paths[:40]))
    assert index.dead == pytest.approx(0.2) and index._state.index.ntotal == 200
    kept = gallery.take(np.arange(40, 200))
    np.testing.assert_array_equal(index.search(QUERIES, 5).paths, nearest(QUERIES, kept, 5))
    index.delete(list(gallery.paths[40:60]))
    assert COMPACT_AT < 0.3 and index.dead == 0 and index._state.index.ntotal == len(index) == 140
    np.testing.assert_array_equal(index.search(QUERIES, 5).paths, nearest(QUERIES, gallery.take(np.arange(60, 200)), 5))


def test_a_graph_says_how_much_it_finds(tmp_path):
    index, _ = create_index(tmp_path / "g.index", embedded(300), factory="HNSW8")
    assert not index.exact and index.true_distances and 0.9 < index.facts["recall"] <= 1 and index.facts["depth"] == 10
    assert open_index(tmp_path / "g.index").facts == index.facts
    exact, _ = create_index(tmp_path / "f.index", embedded(300))
    assert exact.exact and "recall" not in exact.facts


def test_the_effort_that_was_asked_for_is_kept(tmp_path):
    create_index(tmp_path / "g.index", embedded(300), factory="IVF8,Flat", effort=8)
    opened = open_index(tmp_path / "g.index")
    assert opened.effort == 8 and opened.facts["recall"] == 1  # all lists are looked at


def test_what_another_process_has_changed_is_taken_up(tmp_path):
    one, _ = create_index(tmp_path / "g.index", embedded(10))
    other = open_index(tmp_path / "g.index")
    assert not other.refresh()
    one.add(embedded(5, first=10))
    assert len(other) == 10 and other.refresh() and len(other) == 15 and not other.refresh()
    # A change does not undo what the other has done in the meantime.
    one.delete(list(embedded(10).paths[:3]))
    other.add(embedded(2, first=20))
    assert len(other) == 14 and one.refresh() and len(one) == 14
    (tmp_path / "g.index").unlink()
    with pytest.raises(UserError, match="is gone"):
        one.refresh()


@pytest.mark.parametrize("how", ["another metric", "damaged"])
def test_a_file_that_was_refused_is_not_read_again_before_it_is_another(tmp_path, monkeypatch, how):
    """A server asks before each answer, and reading an index may take minutes."""
    path = tmp_path / "g.index"
    index, _ = create_index(path, embedded(10))
    whole, reads = path.read_bytes(), []
    if how == "damaged":
        path.write_bytes(whole[:200] + b"?" + whole[201:])
    else:
        create_index(path, embedded(10), metric="cosine", replace=True)
    monkeypatch.setattr(faiss_index.faiss_file, "read", lambda *given, real=faiss_index.faiss_file.read: reads.append(1) or real(*given))
    messages = set()
    for _ in range(3):
        with pytest.raises(UserError) as refused:
            index.refresh()
        messages.add(str(refused.value))
    assert len(reads) == 1 and len(messages) == 1
    path.write_bytes(whole)
    assert index.refresh() and len(index) == 10 and len(reads) == 2


def test_a_file_that_the_system_refused_to_read_is_asked_for_again(tmp_path, monkeypatch):
    index, _ = create_index(tmp_path / "g.index", embedded(10))
    open_index(tmp_path / "g.index").add(embedded(1, first=10))

    def refusing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(faiss_index.faiss_file, "read", refusing)
    with pytest.raises(UserError, match="cannot read"):
        index.refresh()
    monkeypatch.undo()
    assert index.refresh() and len(index) == 11


def test_a_change_undoes_nothing_that_another_process_did_unseen(tmp_path):
    gallery = embedded(10)
    one, _ = create_index(tmp_path / "g.index", gallery)
    other = open_index(tmp_path / "g.index")
    one.add(embedded(5, first=10))
    assert other.delete([*gallery.paths[:3], *embedded(1, first=10).paths]) == 4, "of what it has not seen too"
    assert len(open_index(tmp_path / "g.index")) == 11
    one.add(embedded(2, first=20))
    left = [*gallery.paths[3:], *embedded(4, first=11).paths, *embedded(2, first=20).paths]
    assert sorted(open_index(tmp_path / "g.index").search(QUERIES, 30).paths[0]) == sorted(left)


@pytest.mark.parametrize("change", ["add", "delete"])
def test_a_kill_before_the_rename_leaves_the_former_index(change, tmp_path, monkeypatch):
    gallery = embedded(30)
    index, _ = create_index(tmp_path / "g.index", gallery)
    before = (tmp_path / "g.index").read_bytes()

    def killed(*_):
        raise Killed

    monkeypatch.setattr(files.os, "replace", killed)
    with pytest.raises(Killed):
        index.add(embedded(5, first=30)) if change == "add" else index.delete(list(gallery.paths[:4]))
    monkeypatch.undo()
    assert (tmp_path / "g.index").read_bytes() == before
    # What is searched is what is stored, in this process too.
    for one in (index, open_index(tmp_path / "g.index")):
        assert len(one) == 30
        np.testing.assert_array_equal(one.search(QUERIES, 5).paths, nearest(QUERIES, gallery, 5))
    assert index.add(embedded(5, first=30)).images == 5 and len(open_index(tmp_path / "g.index")) == 35


def test_a_full_disk_leaves_the_former_index(tmp_path, monkeypatch):
    index, _ = create_index(tmp_path / "g.index", embedded(30))

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(UserError, match="cannot write .*g.index"):
        index.add(embedded(5, first=30))
    assert len(index) == 30 and {path.name for path in tmp_path.iterdir()} == {"g.index", ".g.index.lock"}


@pytest.mark.slow
def test_a_process_that_dies_leaves_no_trace(tmp_path):
    create_index(tmp_path / "g.index", embedded(30))
    script = f"""
        import os, numpy as np
        from reid_srdl import files
        from reid_srdl.embeddings import Embeddings
        from reid_srdl.retrieval import open_index
        files.os.replace = lambda *_: os._exit(9)
        index = open_index({str(tmp_path / "g.index")!r})
        index.add(Embeddings(np.ones((5, {DIMENSION}), np.float32), paths=list("abcde"), model=index.model))
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)]).returncode == 9
    assert [path for path in tmp_path.iterdir() if ".tmp" in path.name]
    index = open_index(tmp_path / "g.index")
    assert len(index) == 30 and index.delete(list(embedded(1).paths)) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"g.index", ".g.index.lock"}


def test_a_query_among_the_deleted_finds_all_the_same(tmp_path):
    """Who asks for somebody who was forgotten stands where the deleted vectors are, and they count among a graph's candidates."""
    rng = np.random.default_rng(0)
    centres = 10 * rng.standard_normal((20, DIMENSION), dtype=np.float32)
    vectors = (np.repeat(centres, 100, axis=0) + rng.standard_normal((2000, DIMENSION))).astype(np.float32)
    gallery = Embeddings(vectors, paths=[f"{row}.jpg" for row in range(2000)])
    index, _ = create_index(tmp_path / "g.index", gallery, factory="HNSW16")
    index.delete(list(gallery.paths[:300]))
    assert 0 < index.dead < COMPACT_AT
    queries = centres[:3]
    np.testing.assert_array_equal(index.search(queries, 20).paths, nearest(queries, gallery.take(np.arange(300, 2000)), 20))


def test_an_approximate_index_gives_as_many_hits_as_there_are(tmp_path):
    gallery = embedded(2000)
    index, _ = create_index(tmp_path / "g.index", gallery, factory="IVF51,Flat", effort=1)
    assert index.search(QUERIES, 1000).counts.tolist() == [1000] * len(QUERIES)
    few = index.search(QUERIES, 5)
    assert (few.paths != nearest(QUERIES, gallery, 5)).any(), "few hits are of one list alone, as the effort says"
