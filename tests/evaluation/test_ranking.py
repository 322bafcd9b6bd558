"""``rank`` against a literal transcription of the definition, and the properties that make it exact."""

from __future__ import annotations

import tracemalloc
import weakref

import numpy as np
import pytest
import torch

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation import RankResult, rank
from reid_srdl.evaluation.ranking import Matches, count_closer, find_matches, rank_matches
from reid_srdl.evaluation.tiles import Tile

TILES = [None, (1, 1), (3, 4), (5, 7), (1000, 16), (2, 1000)]


def people(seed: int, queries: int = 23, items: int = 150, dimension: int = 3, spread: int = 3) -> tuple[Embeddings, Embeddings]:
    """Few integer coordinates, hence many equal distances; junk, distractors, and queries nobody in the gallery matches."""
    rng = np.random.default_rng(seed)

    def some(count: int, lowest: int, highest: int) -> Embeddings:
        return Embeddings(
            rng.integers(-spread, spread + 1, (count, dimension)),
            labels=rng.integers(lowest, highest, count),
            cameras=rng.integers(1, 4, count),
        )

    return some(queries, 1, 12), some(items, -1, 10)


def transcribed(query: Embeddings, gallery: Embeddings, same_camera: bool, metric: str = "euclidean") -> list[list[int]]:
    """Sort, drop, scan: the ranks of the matches of each query."""
    result = []
    for vector, label, camera in zip(query.vectors.astype(float), query.labels, query.cameras, strict=True):
        if metric == "euclidean":
            distances = ((gallery.vectors.astype(float) - vector) ** 2).sum(axis=1)
        else:
            distances = -(gallery.vectors.astype(float) @ vector)
        rank_now, ranks = 0, []
        for item in sorted(range(len(gallery)), key=lambda item: distances[item]):  # noqa: B023; sorted() is stable
            of_person, of_camera = gallery.labels[item] == label, gallery.cameras[item] == camera
            if gallery.labels[item] == -1 or (of_person and of_camera and not same_camera and label > 0):
                continue
            rank_now += 1
            if of_person and label > 0:
                ranks.append(rank_now)
        result.append(ranks)
    return result


def ranks(result: RankResult) -> list[list[int]]:
    return [result.ranks_of(row).tolist() for row in range(len(result))]


@pytest.mark.parametrize("same_camera", [False, True])
@pytest.mark.parametrize(("seed", "tile"), [(seed, tile) for tile in TILES for seed in range(1 if tile == (1, 1) else 4)])
def test_ranks_are_those_of_the_definition(seed, tile, same_camera):
    query, gallery = people(seed)
    expected = transcribed(query, gallery, same_camera)
    result = rank(query, gallery, same_camera=same_camera, tile=tile, device="cpu")
    assert ranks(result) == expected
    assert result.unmatched == sum(not row for row in expected) > 0


@pytest.mark.parametrize("tile", [(4, 5), None])
def test_cosine_ranks_are_those_of_the_definition(tile):
    # Unit vectors with coordinates 0, 1, -1, times powers of two: cosines are exact, and so are their ties.
    rng = np.random.default_rng(1)
    query, gallery = people(1, dimension=6)
    axes = np.eye(6)[rng.integers(0, 6, len(gallery))] * rng.choice([-1, 1], len(gallery))[:, None]
    lengths = 2.0 ** rng.integers(-3, 4, len(gallery))
    unit = Embeddings(axes, labels=gallery.labels, cameras=gallery.cameras)
    long = Embeddings(axes * lengths[:, None], labels=gallery.labels, cameras=gallery.cameras)
    assert ranks(rank(query, long, metric="cosine", tile=tile, device="cpu")) == transcribed(query, unit, False, "cosine")


def test_a_vector_of_length_zero_is_at_a_right_angle():
    query = Embeddings([[1.0, 0.0]], labels=[1], cameras=[1])
    gallery = Embeddings([[-1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], labels=[2, 1, 2], cameras=[2, 2, 2])
    assert ranks(rank(query, gallery, metric="cosine", device="cpu")) == [[2]]


@pytest.mark.parametrize("cuts", [[0, 150], [0, 1, 149, 150], [0, 40, 41, 90, 150]])
def test_counts_of_parts_add_up(cuts):
    query, gallery = people(7)
    parts = [(start, gallery.take(np.arange(start, stop))) for start, stop in zip(cuts[:-1], cuts[1:], strict=True)]
    choices = {"tile": (6, 8), "device": "cpu"}
    matches = Matches.merged([find_matches(query, part, offset=start, **choices) for start, part in parts])
    counts = sum(count_closer(query, part, matches, offset=start, **choices) for start, part in parts)
    assert ranks(RankResult.of(matches.starts, counts + 1)) == transcribed(query, gallery, False)


def test_all_of_a_gallery_equal_ranks_by_position():
    # Twelve items at the same place; the odd ones are matches: their ranks are their positions, counted from 1.
    query = Embeddings(np.ones((2, 4)), labels=[1, 2], cameras=[1, 1])
    gallery = Embeddings(np.zeros((12, 4)), labels=np.tile([3, 1], 6), cameras=np.full(12, 2))
    for tile in TILES:
        assert ranks(rank(query, gallery, tile=tile, device="cpu")) == [[2, 4, 6, 8, 10, 12], []]


@pytest.mark.parametrize("dimension", [1, 33, 512, 2048])
@pytest.mark.parametrize(("queries", "tile"), [(1, None), (7, None), (200, None), (40, (16, 64)), (5, (5, 33))])
def test_equal_float_vectors_are_equally_far_wherever_they_stand(dimension, queries, tile):
    # A person's image, copied to the edges of tiles and between, each copy followed by the same image under another name.
    # All are equally far, so position decides: the first match is at rank 1, the next at 3, 5, …; the rest is farther.
    rng = np.random.default_rng(dimension)
    columns = tile[1] if tile else 1024
    person = rng.standard_normal(dimension).astype(np.float32)
    items = np.float32(3) * rng.standard_normal((3 * columns + 5, dimension)).astype(np.float32)
    items += np.float32(20) * np.sign(person)  # the crowd is to one side, farther than the copies
    labels = np.zeros(len(items), dtype=np.int64)
    places = np.unique(np.clip(np.concatenate([np.arange(0, len(items) - 1, columns) + shift for shift in (-2, 0, 17, columns // 2)]), 0, len(items) - 2))
    places = places[np.concatenate([[True], np.diff(places) > 1])]
    for place in places:
        items[place], items[place + 1] = person, person
        labels[place], labels[place + 1] = 1, 2
    query = Embeddings(person + 0.1 * rng.standard_normal((queries, dimension)).astype(np.float32), labels=np.ones(queries), cameras=np.ones(queries))
    gallery = Embeddings(items, labels=labels, cameras=np.full(len(items), 2))
    for metric in ("euclidean", "cosine") if dimension > 1 else ("euclidean",):
        result = rank(query, gallery, tile=tile, metric=metric, device="cpu")
        assert ranks(result) == [list(range(1, 2 * len(places), 2))] * queries


def scattered(queries: int = 96, items: int = 1500) -> tuple[Embeddings, Embeddings]:
    """Float vectors; the people of the queries are spread over the gallery, and there are others of whom nobody asks."""
    rng = np.random.default_rng(11)
    query = Embeddings(rng.standard_normal((queries, 32)), labels=rng.integers(1, 40, queries) * 7, cameras=rng.integers(1, 4, queries))
    return query, Embeddings(rng.standard_normal((items, 32)), labels=rng.integers(-1, 280, items), cameras=rng.integers(1, 4, items))


def test_no_product_is_computed_for_the_matches_alone(monkeypatch):
    query, gallery = scattered()
    shapes = []
    multiply = Tile.distances
    monkeypatch.setattr(Tile, "distances", lambda tile, queries: shapes.append((len(queries), tile.columns)) or multiply(tile, queries))
    result = rank(query, gallery, tile=(24, 64), device="cpu")
    there = int((gallery.labels != -1).sum())
    assert shapes == [(24, 64)] * (4 * -(-there // 64))
    assert ranks(result) == transcribed(query, gallery, False)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_products_that_are_not_kept_are_computed_again(monkeypatch, kept):
    monkeypatch.setattr("reid_srdl.evaluation.block._KEPT", kept)
    for query, gallery in (people(9, queries=40, items=400), scattered()):
        assert ranks(rank(query, gallery, tile=(20, 8), device="cpu")) == transcribed(query, gallery, False)


def test_the_matches_themselves_are_told():
    query, gallery = people(6)
    matches, found = rank_matches(query, gallery, device="cpu", tile=(6, 8))
    apart = find_matches(query, gallery, device="cpu", tile=(6, 8))
    assert np.array_equal(matches.positions, apart.positions) and np.array_equal(matches.distances, apart.distances)
    assert np.array_equal(found, count_closer(query, gallery, apart, device="cpu", tile=(6, 8)) + 1)
    for row, (start, stop) in enumerate(zip(matches.starts[:-1], matches.starts[1:], strict=True)):
        there = np.flatnonzero((gallery.labels == query.labels[row]) & (gallery.cameras != query.cameras[row]))
        assert matches.positions[start:stop].tolist() == there.tolist()
        far = ((gallery.vectors[there] - query.vectors[row]) ** 2).sum(axis=1) - (query.vectors[row] ** 2).sum()
        assert matches.distances[start:stop].tolist() == far.tolist()


def test_float_ranks_do_not_depend_on_the_tile_where_distances_differ():
    rng = np.random.default_rng(3)
    query, gallery = people(3, queries=60, items=700)
    query = Embeddings(rng.standard_normal((60, 64)), labels=query.labels, cameras=query.cameras)
    gallery = Embeddings(rng.standard_normal((700, 64)), labels=gallery.labels, cameras=gallery.cameras)
    expected = transcribed(query, gallery, False)
    for tile in (None, (16, 64), (60, 48)):
        assert ranks(rank(query, gallery, tile=tile, device="cpu")) == expected


def test_what_training_allows_in_products_does_not_reach_the_ranks(monkeypatch):
    query, gallery = people(5)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        multiply, seen = Tile.distances, set()
        monkeypatch.setattr(Tile, "distances", lambda tile, queries: seen.add(torch.get_float32_matmul_precision()) or multiply(tile, queries))
        assert ranks(rank(query, gallery, device="cpu")) == transcribed(query, gallery, False) and seen == {"highest"}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_memory_does_not_grow_with_the_gallery(tmp_path, monkeypatch):
    # The gallery is on disk. A matrix of distances would be 300 x 60,000 x 4 bytes = 72 MB, its items 15 MB. NumPy's memory is
    # traced; of torch's, which is not, the distances are what could grow.
    alive, most, multiply = weakref.WeakSet(), [0], Tile.distances

    def noted(tile: Tile, queries: torch.Tensor) -> torch.Tensor:
        distances = multiply(tile, queries)
        alive.add(distances)
        most[0] = max(most[0], sum(one.nbytes for one in list(alive)))
        return distances

    monkeypatch.setattr(Tile, "distances", noted)
    rng = np.random.default_rng(0)
    np.save(tmp_path / "gallery.npy", rng.standard_normal((60_000, 64), dtype=np.float32))
    gallery = Embeddings(np.load(tmp_path / "gallery.npy", mmap_mode="r"), labels=rng.integers(0, 5000, 60_000), cameras=rng.integers(1, 7, 60_000))
    query = Embeddings(rng.standard_normal((300, 64)), labels=rng.integers(1, 5000, 300), cameras=rng.integers(1, 7, 300))
    rank(query, gallery.take(np.arange(2000)), device="cpu")  # what is imported late is not ours
    tracemalloc.start()
    try:
        rank(query, gallery, device="cpu")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20 and 0 < most[0] < 16 << 20


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        ({"vectors": np.zeros((0, 3)), "labels": [], "cameras": []}, {}, "query holds no vectors"),
        ({}, {"labels": None}, "gallery vectors have no labels"),
        ({"cameras": None}, {}, "query vectors have no cameras"),
        ({"vectors": np.zeros((2, 4))}, {}, "4 numbers, gallery vectors 3"),
        ({}, {"vectors": np.full((2, 3), 1e19)}, "gallery vector is too long"),
    ],
)
def test_what_cannot_be_ranked_is_said(query, gallery, message):
    given = [Embeddings(**({"vectors": np.zeros((2, 3)), "labels": [1, 2], "cameras": [1, 2]} | part)) for part in (query, gallery)]
    with pytest.raises(UserError, match=message):
        rank(*given, device="cpu")


def test_unknown_metric():
    with pytest.raises(UserError, match="no metric"):
        rank(*people(0), metric="manhattan", device="cpu")


def test_cameras_are_not_needed_where_they_are_ignored():
    query, gallery = people(2)
    bare = [Embeddings(part.vectors, labels=part.labels) for part in (query, gallery)]
    assert ranks(rank(*bare, same_camera=True, device="cpu")) == transcribed(query, gallery, True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tile", TILES)
def test_a_gpu_ranks_alike(tile):
    query, gallery = people(4)
    assert ranks(rank(query, gallery, tile=tile, device="cuda")) == transcribed(query, gallery, False)


@pytest.mark.parametrize("tile", [None, (3, 4)])
def test_queries_that_are_nobody_match_nothing_and_change_no_rank_of_others(tile):
    """Distractors and junk among the queries; junk of the gallery still exists for nobody."""
    query, gallery = people(2)
    labels = np.where(np.arange(len(query)) % 5 < 2, -(np.arange(len(query)) % 5), query.labels)
    query = Embeddings(query.vectors, labels=labels, cameras=query.cameras)
    assert ranks(rank(query, gallery, tile=tile, device="cpu")) == transcribed(query, gallery, False)
