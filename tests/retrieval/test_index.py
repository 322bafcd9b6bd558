"""The interface of an index, the same for all backends."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from reid_srdl.embeddings import UNKNOWN, Embeddings
from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, open_index
from reid_srdl.retrieval.index import About

from .conftest import DIMENSION, MODEL, embedded, nearest, needs_milvus

QUERIES = np.random.default_rng(5).standard_normal((4, DIMENSION), dtype=np.float32)


@needs_milvus
def test_an_index_that_was_built_anew_with_the_other_backend_is_said_so(build, backend):
    index, other = build(embedded(5)), {"faiss": "milvus", "milvus": "faiss"}[backend]
    create_index(index.path, embedded(5), backend=other, replace=True)[0].close()
    with pytest.raises(UserError, match=f"gallery.index was built anew with --backend {other}, and was of {backend}. Open it again"):
        index.refresh()


def test_the_nearest_are_found_with_all_that_is_known_of_them(build):
    gallery = embedded(60)
    index = build(gallery)
    hits = index.search(QUERIES, 7)
    np.testing.assert_array_equal(hits.paths, nearest(QUERIES, gallery, 7))
    rows = np.vectorize(gallery.paths.index)(hits.paths)
    np.testing.assert_array_equal(hits.labels, gallery.labels[rows])
    np.testing.assert_array_equal(hits.cameras, gallery.cameras[rows])
    squared = ((QUERIES[:, None] - gallery.vectors[rows]) ** 2).sum(axis=2)
    np.testing.assert_allclose(hits.distances, squared, rtol=1e-5)
    assert hits.distances.dtype == np.float32 and len(index) == 60 and index.model == MODEL and index.dimension == DIMENSION and index.exact
    np.testing.assert_array_equal(index.vectors(hits.ids.ravel()), gallery.vectors[rows.ravel()])


def test_a_camera_filter_finds_the_nearest_of_that_camera(build):
    gallery = embedded(60)
    # All of camera 2 lie far away: a filter over the nearest of all would find none of them.
    gallery.vectors[gallery.cameras == 2] += 50
    index = build(gallery)
    hits = index.search(QUERIES, 5, [2])
    np.testing.assert_array_equal(hits.paths, nearest(QUERIES, gallery, 5, gallery.cameras == 2))
    both = index.search(QUERIES, 5, [2, 3])
    np.testing.assert_array_equal(both.paths, nearest(QUERIES, gallery, 5, gallery.cameras >= 2))
    for nobody in ([9], []):
        assert index.search(QUERIES, 5, nobody).ids.shape == (4, 0)


def test_more_hits_than_images_are_all_images(build):
    gallery = embedded(10)
    index = build(gallery)
    hits = index.search(QUERIES, 500)
    assert hits.ids.shape == (4, 10) and hits.counts.tolist() == [10] * 4
    assert set(hits.paths[0]) == set(gallery.paths)
    assert index.search(QUERIES, 500, [1]).ids.shape == (4, 4)


def test_equal_distances_stand_in_the_order_of_adding(build):
    one = np.ones((1, DIMENSION), np.float32)
    index = build(Embeddings(np.repeat(one, 5, axis=0), paths=list("ebdac")))
    index.add(Embeddings(one, paths=["f"]))
    assert index.search(one, 6).paths[0].tolist() == [*"ebdac", "f"]


def test_an_opened_index_is_the_one_that_was_built(build, tmp_path):
    index = build(embedded(40), root="/photos", names={3: "Zoë"})
    expected = index.search(QUERIES, 9)
    index.close()
    opened = open_index(tmp_path / "gallery.index")
    hits = opened.search(QUERIES, 9)
    np.testing.assert_array_equal(hits.ids, expected.ids)
    np.testing.assert_array_equal(hits.paths, expected.paths)
    assert opened.about == About(MODEL, DIMENSION, "/photos", {3: "Zoë"}) and opened.backend == index.backend
    opened.close()


def test_adding_and_deleting_need_no_rebuild(build, tmp_path):
    first, more = embedded(40), embedded(30, first=40, seed=1)
    index = build(first)
    added = index.add(more)
    assert (added.images, added.replaced, added.junk, len(index)) == (30, 0, 0, 70)
    gone = [*first.paths[:10], *more.paths[:5]]
    assert index.delete([*gone, "nobody.jpg", gone[0]]) == 15 and len(index) == 55
    kept = Embeddings(np.concatenate([first.vectors[10:], more.vectors[5:]]), paths=first.paths[10:] + more.paths[5:])
    for one in (index, reopened(index, tmp_path)):
        np.testing.assert_array_equal(one.search(QUERIES, 12).paths, nearest(QUERIES, kept, 12))
        hits = one.search(kept.vectors, 1)
        np.testing.assert_array_equal(one.vectors(hits.ids[:, 0]), kept.vectors)
        one.close()


def reopened(index, tmp_path: Path):
    return open_index(tmp_path / "gallery.index")


def test_deleting_what_is_not_there_changes_nothing(build):
    index = build(embedded(10))
    assert index.delete(["nobody.jpg"]) == 0 and index.delete([]) == 0 and len(index) == 10


def test_an_index_may_be_emptied_and_filled_again(build):
    gallery = embedded(5)
    index = build(gallery)
    assert index.delete(list(gallery.paths)) == 5 and len(index) == 0
    assert index.search(QUERIES, 3).ids.shape == (4, 0)
    index.add(gallery)
    np.testing.assert_array_equal(index.search(QUERIES, 3).paths, nearest(QUERIES, gallery, 3))


def test_a_path_that_comes_again_gets_the_new_vector(build):
    gallery = embedded(20)
    index = build(gallery)
    again = embedded(6, first=17, seed=9)  # three that are there, three that are not
    added = index.add(again)
    assert (added.images, added.replaced, len(index)) == (6, 3, 23)
    hits = index.search(again.vectors, 1)
    assert hits.paths[:, 0].tolist() == list(again.paths)
    np.testing.assert_allclose(hits.distances[:, 0], 0, atol=1e-5)
    assert not np.isclose(index.search(gallery.vectors[17:18], 1).distances[0, 0], 0)


def test_of_a_path_that_comes_twice_the_later_vector_counts(build):
    twice = Embeddings(np.eye(3, DIMENSION, dtype=np.float32), paths=["a", "b", "a"])
    index = build(twice)
    assert len(index) == 2 and index.search(twice.vectors[2:], 1).paths[0, 0] == "a" and index.search(twice.vectors[:1], 1).distances[0, 0] > 1


def test_junk_is_left_out_and_counted(build):
    index = build(embedded(10, junk=4))
    assert len(index) == 6
    assert index.add(embedded(5, first=10, junk=2)).junk == 2 and len(index) == 9
    with pytest.raises(UserError, match="nothing to add. All images are junk"):
        index.add(embedded(3, first=99, junk=3))
    assert -1 not in index.search(QUERIES, 20).labels


def test_what_is_not_known_is_said_to_be_unknown(build):
    bare = Embeddings(embedded(6).vectors, model=MODEL)
    index = build(bare)
    hits = index.search(QUERIES[:1], 6)
    assert (hits.labels == UNKNOWN).all() and (hits.cameras == UNKNOWN).all() and "#0000003" in hits.paths[0]
    assert index.search(QUERIES, 3, [1]).ids.shape == (4, 0)


def test_vectors_of_another_network_or_size_are_refused(build):
    index = build(embedded(10))
    with pytest.raises(UserError, match="of the network bbbbbbbbbbbb…, and"):
        index.add(embedded(3, first=10, model="b" * 64))
    with pytest.raises(UserError, match="vectors of 3 numbers do not fit"):
        index.add(Embeddings(np.ones((2, 3), np.float32), model=MODEL))
    with pytest.raises(UserError, match="queries of shape"):
        index.search(np.ones((2, 3), np.float32), 1)
    with pytest.raises(UserError, match="NaN"):
        index.search(np.full((1, DIMENSION), np.nan, np.float32), 1)
    with pytest.raises(UserError, match="top_k is 0"):
        index.search(QUERIES, 0)
    assert len(index) == 10


def test_ids_that_are_gone_have_no_vectors(build):
    gallery = embedded(4)
    index = build(gallery)
    number = index.search(gallery.vectors[:1], 1).ids[0]
    index.delete(list(gallery.paths[:1]))
    with pytest.raises(KeyError):
        index.vectors(number)
    assert index.vectors(np.empty(0, np.int64)).shape == (0, DIMENSION)


def test_an_index_is_not_built_over_another(build):
    index = build(embedded(10))
    with pytest.raises(UserError, match="there already"):
        build(embedded(5))
    assert len(index) == 10
    index.close()
    assert len(build(embedded(5), replace=True)) == 5


def test_many_search_while_one_changes(build):
    stable = embedded(30)
    index = build(stable)
    wanted = stable.vectors
    stop, failures, searches = threading.Event(), [], [0]

    def look() -> None:
        while not stop.is_set():
            hits = index.search(wanted, 1)
            searches[0] += 1
            if hits.paths[:, 0].tolist() != list(stable.paths) or not np.allclose(hits.distances[:, 0], 0, atol=1e-4):
                failures.append(hits.paths[:, 0].tolist())

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(4):
        other = embedded(20, first=100 + 20 * turn)
        index.add(other)
        index.delete(list(other.paths[:15]))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and searches[0] > 0 and len(index) == 50


# --- what is known of the images ------------------------------------------------------------------------------------------


def test_images_are_looked_up_by_id_and_by_path(build):
    gallery = embedded(30)
    index = build(gallery)
    wanted = [gallery.paths[row] for row in (17, 3, 28)]
    rows = index.by_path(wanted)
    assert rows.paths.tolist() == wanted
    np.testing.assert_array_equal(rows.labels, gallery.labels[[17, 3, 28]])
    np.testing.assert_array_equal(rows.cameras, gallery.cameras[[17, 3, 28]])
    again = index.rows(rows.ids[::-1])
    assert again.paths.tolist() == wanted[::-1]
    np.testing.assert_array_equal(again.cameras, gallery.cameras[[28, 3, 17]])
    np.testing.assert_array_equal(index.vectors(rows.ids), gallery.vectors[[17, 3, 28]])
    assert len(index.rows([])) == len(index.by_path([])) == 0


def test_images_that_are_gone_or_never_were_are_not_looked_up(build):
    gallery = embedded(6)
    index = build(gallery)
    number = index.by_path(gallery.paths[2:3]).ids[0]
    index.delete([gallery.paths[2]])
    with pytest.raises(KeyError):
        index.rows([number])
    for path in (gallery.paths[2], "nobody.jpg"):
        with pytest.raises(KeyError):
            index.by_path([gallery.paths[1], path])
    index.add(gallery.take(np.array([2])))
    assert index.by_path(gallery.paths[2:3]).ids[0] != number  # a new image, even under the old name


def test_the_cameras_are_those_of_the_images_that_are_there(build):
    gallery = embedded(9)
    gallery.cameras[:] = [5, -3, 5, 0, UNKNOWN, 5, 5, 12, 5]
    index = build(gallery)
    assert index.cameras().tolist() == [-3, 0, 5, 12]
    index.delete([gallery.paths[7]])
    assert index.cameras().tolist() == [-3, 0, 5]
    assert build(Embeddings(gallery.vectors), "bare.index", **beside(index)).cameras().tolist() == []


def beside(index) -> dict[str, str]:
    """Options of a second index in the same folder."""
    return {"uri": str(index.path) + "2.db"} if index.backend == "milvus" else {}


def test_a_sample_is_of_different_images_and_the_same_for_a_seed(build):
    gallery = embedded(60)
    index = build(gallery)
    drawn = [index.sample(12, seed) for seed in range(8)]
    for rows in drawn:
        assert len(set(rows.paths)) == len(rows) == 12 and set(rows.paths) <= set(gallery.paths)
        np.testing.assert_array_equal(index.by_path(rows.paths).ids, rows.ids)
    assert index.sample(12, 3).paths.tolist() == drawn[3].paths.tolist() != drawn[4].paths.tolist()
    assert len(set().union(*(rows.paths for rows in drawn))) > 36  # by chance 49 of 60, and the first twelve alone would be 12
    assert sorted(index.sample(100).paths) == sorted(gallery.paths) and len(index.sample(0)) == 0


def test_an_index_that_another_process_built_anew_is_taken_up(build):
    index = build(embedded(10))
    assert index.refresh() is False
    index.close()
    build(embedded(4, seed=1), replace=True).close()
    assert index.refresh() is True and len(index) == 4 and index.refresh() is False
    build(embedded(5, model="b" * 64), replace=True).close()
    with pytest.raises(UserError, match="built anew by the network bbbbbbbbbbbb…, and was of aaaaaaaaaaaa…. Open it again"):
        index.refresh()
    assert index.model == MODEL
    seen = []
    assert index.refresh(seen.append) is True, "whoever asks may say that another network fits"
    assert index.model == seen[0].model == "b" * 64 and len(index) == 5 and index.refresh() is False
    index.path.unlink()
    with pytest.raises(UserError, match="is gone"):
        index.refresh()
    index.close()


def test_an_index_that_another_process_built_anew_of_another_network_is_not_changed(build):
    """It would hold vectors of two networks; two dimensions, even."""
    index, other = build(embedded(10)), embedded(6, model="b" * 64)
    index.close()
    build(other, replace=True).close()
    for change in (lambda: index.add(embedded(3, first=20)), lambda: index.delete(["it's \"0\".jpg"])):
        with pytest.raises(UserError, match="built anew by the network b"):
            change()
    index.close()
    there = open_index(index.path)
    assert len(there) == 6 and there.model == "b" * 64
    np.testing.assert_allclose(there.vectors(there.by_path(other.paths).ids), other.vectors, rtol=1e-6)
    there.close()


def test_a_path_that_is_not_utf8_is_in_no_index(build):
    index, name = build(embedded(4)), b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert index.delete([name]) == 0 and len(index.holding([name])) == 0 and len(index) == 4


def test_the_id_of_the_last_image_is_never_given_again(build):
    gallery = embedded(6)
    index = build(gallery)
    number = index.by_path(gallery.paths[-1:]).ids[0]
    index.delete([gallery.paths[-1]])
    index.add(gallery.take(np.array([5])))
    assert index.by_path(gallery.paths[-1:]).ids[0] > number
