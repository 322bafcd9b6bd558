"""Kinds of faiss index: which are taken, how they are trained, and that filters are exact in all."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, factories

from .conftest import DIMENSION, embedded, nearest

_TOO_SMALL = ("HNSW1", "HNSW0", "IVF4_HNSW1,Flat", "PCA8,HNSW01_SQ8", "IVF0,Flat", "PCA0,Flat", "RR0,Flat", "IVF4,PQ4x0", "OPQ4_0,Flat", "OPQ0,Flat")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        *((factory, f"an index .{factory}. is of a number that is too small. HNSW has 2") for factory in _TOO_SMALL),
        ("blah", "faiss makes no index 'blah' of 16 numbers"),
        ("IVF4,PQ7", "faiss makes no index 'IVF4,PQ7' of 16 numbers .*multiple"),
        ("PQ4", "cannot be filtered by camera, or cannot forget"),
        ("NSG16", "cannot be filtered by camera, or cannot forget"),
        ("HNSW8_PQ4", "cannot be filtered"),
        ("L2norm,Flat", "changes distances"),
        ("PCAW8,Flat", "changes distances"),
        ("PCAWR8,IVF4,Flat", "an index 'PCAWR8,IVF4,Flat' changes distances before it compares"),
    ],
)
def test_strings_that_are_no_use_are_said(factory, message, tmp_path):
    with pytest.raises(UserError, match=message):
        create_index(tmp_path / "g.index", embedded(300), factory=factory)
    assert not list(tmp_path.iterdir())


def test_too_few_images_to_train_on_are_said_with_a_way_out(tmp_path):
    for factory, need in (("IVF4096,Flat", "4,096"), ("IVF4,PQ4", "256")):
        with pytest.raises(UserError, match=f"100 images are too few to train '{factory}', which needs {need}.*such as IVF2,Flat"):
            create_index(tmp_path / "g.index", embedded(100), factory=factory)
    create_index(tmp_path / "g.index", embedded(100), factory="IVF2,Flat")  # what was proposed works


@pytest.mark.parametrize("factory", ["IVF16,PQ4", "OPQ4_8,IVF4,PQ4x4"])
def test_few_images_are_remarked_on_once(factory, tmp_path, capfd):
    index, _ = create_index(tmp_path / "g.index", embedded(300), factory=factory)
    assert index.facts["remarks"] == [f"{factory} was trained on 300 images; from 9,984 on its centres are good."]
    assert "WARNING" not in capfd.readouterr().err and not index.true_distances


def test_compressed_codes_are_not_annealed_for_a_search_that_nobody_asks_for():
    """It takes minutes at 64 codes of 512 numbers, and what is found is the same."""
    vectors, found = embedded(300).vectors, []
    for annealed in (False, True):
        index = factories.make("IVF4,PQ4x6", DIMENSION)
        if annealed:
            index.train(vectors)
            factories._hands_out_vectors(index)
        else:
            factories.train(index, vectors, "IVF4,PQ4x6")
        assert index.do_polysemous_training is annealed
        factories.add(index, vectors, np.arange(300))
        found.append(index.search(vectors[:20], 5))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("factory", "exact", "true_distances", "effort"),
    [("Flat", True, True, 0), ("SQ8", False, False, 0), ("HNSW8", False, True, 64), ("IVF16,Flat", False, True, 8), ("IVF16,SQ8", False, False, 8), ("PCA8,Flat", False, False, 0)],
)
def test_kinds_say_what_they_are(factory, exact, true_distances, effort):
    kind = factories.kind_of(factories.make(factory, DIMENSION))
    assert (kind.exact, kind.true_distances, kind.effort) == (exact, true_distances, effort)


@pytest.mark.parametrize("factory", ["HNSW4", "IVF16,Flat", "Flat"])
def test_a_camera_filter_is_exact_whatever_the_effort(factory, tmp_path):
    gallery = embedded(400)
    rare = np.arange(400) % 80 == 7  # five images
    gallery.cameras[rare] = 9
    queries = np.random.default_rng(3).standard_normal((20, DIMENSION), dtype=np.float32)
    index, _ = create_index(tmp_path / "g.index", gallery, factory=factory, effort=1)
    np.testing.assert_array_equal(index.search(queries, 5, [9]).paths, nearest(queries, gallery, 5, rare))
    np.testing.assert_array_equal(index.search(queries, 5, [1, 9]).paths, nearest(queries, gallery, 5, np.isin(gallery.cameras, [1, 9])))


def test_a_filter_after_a_transformation_is_exact_for_what_is_stored(tmp_path):
    gallery = embedded(200)
    index, _ = create_index(tmp_path / "g.index", gallery, factory="PCA15,HNSW4", effort=1)
    plain, _ = create_index(tmp_path / "p.index", gallery, factory="PCA15,Flat")
    queries = gallery.vectors[:10] + 0.1
    one, other = (found.search(queries, 6, [2]) for found in (index, plain))
    np.testing.assert_allclose(one.distances, other.distances, rtol=1e-3)
    np.testing.assert_array_equal(one.paths, other.paths)


def test_recall_is_the_share_of_the_true_nearest():
    vectors = np.arange(40, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    flat = factories.make("Flat", 4)
    flat.add(vectors)
    assert factories.recall(flat, vectors, 0, depth=5) == 1
    # An index that holds every other vector twice over has half of the neighbours.
    wrong = factories.make("Flat", 4)
    wrong.add(np.where(np.arange(40)[:, None] % 2 == 0, vectors, 1000 + vectors))
    assert factories.recall(wrong, vectors, 0, depth=4) == pytest.approx(0.5, abs=0.1)


def test_more_effort_finds_more(tmp_path):
    gallery = embedded(2000)
    little, much = (create_index(tmp_path / f"{effort}.index", gallery, factory="IVF32,Flat", effort=effort)[0].facts["recall"] for effort in (1, 32))
    assert little < 0.7 < much == 1


def test_what_is_looked_for_is_no_neighbour_of_its_own():
    """Of threes on a line, each at 0, 1 and 3, the middle one is lost: only itself finds its nearest."""
    places = (100 * np.arange(10)[:, None] + [0, 1, 3]).astype(np.float32).reshape(-1, 1)
    vectors = places * np.ones((1, 4), np.float32)
    lossy = factories.make("Flat", 4)
    lossy.add(np.where(np.arange(30)[:, None] % 3 == 1, 10_000 + vectors, vectors))
    assert factories.recall(lossy, vectors, 0, depth=1) == pytest.approx(1 / 3)
