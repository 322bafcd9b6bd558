"""From embeddings to an index and its answers, by both backends: what is nearest, for which cameras, after which changes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.retrieval import create_index, open_index


@pytest.fixture(params=["faiss", "milvus"])
def made(request, tmp_path):
    """``made(embeddings)`` builds an index of the backend in ``tmp_path``."""
    pytest.importorskip("pymilvus" if request.param == "milvus" else "faiss")
    opened = []

    def build(embeddings: Embeddings, **options):
        if request.param == "milvus":
            options["uri"] = str(tmp_path / "gallery.db")
        index, _ = create_index(tmp_path / "gallery.index", embeddings, backend=request.param, **options)
        opened.append(index)
        return index

    yield build
    for index in opened:
        index.close()


def gallery(count: int = 40, seed: int = 0, model: str = "abc", name: str = "g") -> Embeddings:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[-1], rng.integers(1, 5, count - 1)])
    return Embeddings(rng.normal(size=(count, 8)).astype(np.float32), tuple(f"{name}/{row}.jpg" for row in range(count)), labels, rng.integers(1, 4, count), model)


def nearest(images: Embeddings, query: np.ndarray, chosen: np.ndarray, k: int) -> list[str]:
    far = ((images.vectors - query) ** 2).sum(axis=1)
    return [images.paths[row] for row in np.argsort(far, kind="stable") if chosen[row]][:k]


def test_it_finds_the_nearest_of_all_and_of_a_camera(made):
    images = gallery()
    index = made(images)
    queries = np.random.default_rng(9).normal(size=(3, 8)).astype(np.float32)
    assert len(index) == 39 and index.model == "abc" and index.dimension == 8  # the junk is left out
    for cameras in (None, [2], [1, 3]):
        hits = index.search(queries, 5, cameras)
        there = (images.labels != -1) & (np.isin(images.cameras, cameras) if cameras else True)
        for row, query in enumerate(queries):
            assert hits.paths[row].tolist() == nearest(images, query, there, 5)
    far = ((images.vectors[[int(path[2:-4]) for path in hits.paths[0]]] - queries[0]) ** 2).sum(axis=1)
    np.testing.assert_allclose(hits.distances[0], far, rtol=1e-4)
    np.testing.assert_allclose(index.vectors(hits.ids[0]), images.vectors[[int(path[2:-4]) for path in hits.paths[0]]], rtol=1e-5)
    assert index.search(queries, 500).counts.tolist() == [39] * 3 and index.search(queries, 5, [77]).counts.tolist() == [0] * 3


def test_images_come_and_go_and_stay_so(made, tmp_path):
    images, more = gallery(), gallery(10, 1, name="h")
    index = made(images)
    assert index.add(more).images == 9 and len(index) == 48
    query = more.vectors[3:4]
    assert index.search(query, 1).paths[0, 0] == "h/3.jpg"
    assert index.delete(["h/3.jpg", "nowhere.jpg"]) == 1 and len(index) == 47
    assert index.search(query, 1).paths[0, 0] != "h/3.jpg"
    index.close()
    again = open_index(tmp_path / "gallery.index")
    assert len(again) == 47 and again.search(query, 1).paths[0, 0] != "h/3.jpg"
    again.close()


def test_what_does_not_fit_is_refused(made, tmp_path):
    index = made(gallery())
    with pytest.raises(UserError, match="two networks"):
        index.add(gallery(model="another"))
    with pytest.raises(UserError, match="dimension 8"):
        index.search(np.zeros((1, 7), np.float32), 3)
    with pytest.raises(UserError, match="top_k"):
        index.search(np.zeros((1, 8), np.float32), 0)
    with pytest.raises(UserError, match="is there already"):
        create_index(tmp_path / "gallery.index", gallery(), backend="faiss")
    with pytest.raises(UserError, match="there is no index"):
        open_index(tmp_path / "gone.index")
    assert len(index) == 39


def test_a_change_that_is_cut_off_leaves_the_index_as_it_was(tmp_path, monkeypatch):
    pytest.importorskip("faiss")
    path = tmp_path / "gallery.index"
    index, _ = create_index(path, gallery())
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            index.add(gallery(10, 1, name="h"))
    assert path.read_bytes() == before
    index.close()
    assert len(open_index(path)) == 39
    path.write_bytes(before[:-40] + b"x" * 40)
    with pytest.raises(UserError, match="damaged"):
        open_index(path)


@pytest.mark.parametrize("factory", ["HNSW16", "IVF4,Flat"])
def test_approximate_factories_forget_what_is_deleted(factory, tmp_path):
    pytest.importorskip("faiss")
    images = gallery(600)
    index, _ = create_index(tmp_path / "a.index", images, factory=factory)
    found = index.search(images.vectors[5:6], 3).paths[0]
    assert found[0] == "g/5.jpg"
    assert index.delete([found[0]]) == 1 and "g/5.jpg" not in index.search(images.vectors[5:6], 20).paths[0] and len(index) == 598


def test_a_factory_is_not_for_milvus(tmp_path):
    pytest.importorskip("pymilvus")
    with pytest.raises(UserError, match="factory"):
        create_index(tmp_path / "a.index", gallery(), backend="milvus", uri=str(tmp_path / "a.db"), factory="HNSW32")
    assert not (tmp_path / "a.index").exists()
