"""The map: whose images are on it, that it is the same each time, and that each point says what it is."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from reid_srdl.embeddings import Embeddings
from reid_srdl.report import embedding_map
from reid_srdl.report.evaluated import Evaluated, ranked


@pytest.fixture(scope="module")
def pair() -> tuple[Embeddings, Embeddings]:
    """Four people far from each other, seen by three cameras, and a crowd that is nobody."""
    rng = np.random.default_rng(0)
    labels = np.array([1] * 12 + [2] * 10 + [3] * 9 + [4] * 8 + [0] * 20 + [-1] * 20)
    centres = 40 * rng.normal(size=(6, 16))
    vectors = centres[labels] + rng.normal(size=(len(labels), 16))
    gallery = Embeddings(vectors, paths=tuple(f"g/<{number}>.png" for number in range(len(labels))), labels=labels, cameras=np.arange(len(labels)) % 3 + 1)
    return gallery.take(np.array([0, 12, 22])), gallery


@pytest.fixture(scope="module")
def made(pair) -> embedding_map.Map:
    return embedding_map.embedding_map(*pair, by="tsne", seed=3)


def test_people_with_most_images_come_first_and_nobody_has_too_many():
    labels = np.array([5] * 9 + [6] * 4 + [7] * 9 + [8] * 2 + [0] * 50 + [-1] * 50)
    rows = embedding_map.choose(labels, people=3, images=5)
    assert sorted(zip(*np.unique(labels[rows], return_counts=True), strict=True)) == [(5, 5), (6, 4), (7, 5)]
    assert (np.diff(rows) > 0).all()
    alike = np.repeat(np.arange(1, 40), 2)
    drawn = [set(alike[embedding_map.choose(alike, people=10, seed=seed)].tolist()) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 10


def test_a_map_is_the_same_each_time_and_keeps_people_together(pair, made):
    one, two = made, embedding_map.embedding_map(*pair, by="tsne", seed=3)
    assert np.array_equal(one.points, two.points) and embedding_map.as_svg(one) == embedding_map.as_svg(two)
    assert set(one.labels.tolist()) == {1, 2, 3, 4} and len(one.labels) == 42
    distances = ((one.points[:, None] - one.points) ** 2).sum(-1) + np.diag(np.full(42, np.inf))
    assert (one.labels[distances.argmin(axis=1)] == one.labels).all()


@pytest.mark.parametrize("seed", [-1, 2**40])
def test_any_whole_number_is_a_seed_of_choice_and_map(pair, seed):
    assert len(embedding_map.choose(pair[1].labels, seed=seed)) == 39
    assert np.isfinite(embedding_map.project(pair[1].vectors[:8], "tsne", seed=seed)).all()


@pytest.mark.slow
@pytest.mark.soak
def test_so_is_one_by_umap(pair):
    pytest.importorskip("umap")
    one, two = (embedding_map.embedding_map(*pair, by="umap", seed=3) for _ in range(2))
    assert np.array_equal(one.points, two.points) and one.by == "umap"
    distances = ((one.points[:, None] - one.points) ** 2).sum(-1) + np.diag(np.full(42, np.inf))
    assert (one.labels[distances.argmin(axis=1)] == one.labels).mean() > 0.9


def test_each_point_has_its_colour_shape_and_name(made):
    svg = ElementTree.fromstring(embedding_map.as_svg(made))
    groups = [element for element in svg if element.get("class") == "person"]
    assert [group.get("data-person") for group in groups] == ["1", "2", "3", "4"] and len({group.get("fill") for group in groups}) == 4
    assert [len(group) for group in groups] == [13, 11, 10, 8]
    points = {point[0].text: (float(point.get("x")), float(point.get("y")), point.get("href")) for group in groups for point in group}
    assert points["person 1, camera 2, g/<1>.png"][2] == "#shape1" and "person 4, camera 3, g/<38>.png" in points
    assert all(0 <= x <= 760 and 0 <= y <= 520 for x, y, _ in points.values())
    assert {shape for *_, shape in points.values()} == {f"#{element.get('id')}" for element in svg[0]}


def test_the_frame_keeps_the_proportions_of_distances():
    made = embedding_map.Map(np.array([[0.0, 0], [10, 0], [0, 5], [10, 5], [5, 2]]), np.arange(1, 6), None, None, "tsne")
    svg = ElementTree.fromstring(embedding_map.as_svg(made))
    x, y = (np.array([float(point.get(axis)) for point in svg.iter() if point.tag == "use"]) for axis in "xy")
    assert abs((x[1] - x[0]) / (y[2] - y[0]) - 2) < 1e-2


def test_the_page_says_by_what_and_by_which_seed(pair, monkeypatch):
    monkeypatch.setattr(embedding_map, "project", lambda vectors, by, seed: vectors[:, :2].astype(float))
    html = embedding_map.map_section(Evaluated("people", {}, ranked=ranked(*pair, device="cpu")), seed=11, by="tsne")
    assert "t-SNE" in html and "seed 11" in html and "camera 3" in html and html.count("<button") == 4
    few = pair[1].take(np.array([0, 1, 12]))
    assert "too few" in embedding_map.map_section(Evaluated("people", {}, ranked=ranked(few.take(np.array([0])), few, device="cpu")), seed=0, by="tsne")
    same = Embeddings(np.ones((9, 4)), labels=np.ones(9, dtype=int), cameras=np.arange(9))
    assert embedding_map.embedding_map(same, same, by="tsne") is None
    assert embedding_map.map_section(None, seed=0) == embedding_map.map_section(Evaluated("people", {}), seed=0) == ""


def test_a_umap_that_cannot_be_imported_is_done_without(monkeypatch):
    """As where its compiler has no folder to write into."""
    monkeypatch.setattr(embedding_map.importlib.util, "find_spec", lambda name: object())

    def broken():
        raise RuntimeError("cannot cache function 'rdist': no locator available")

    monkeypatch.setattr(embedding_map, "_umap", broken)
    assert embedding_map.usual() == "tsne"
    monkeypatch.setattr(embedding_map, "_umap", lambda: None)
    assert embedding_map.usual() == "umap"
