"""k-reciprocal re-ranking: the published sets by hand, another implementation, and the same in small blocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reid_srdl.errors import UserError
from reid_srdl.evaluation import rerank as module
from reid_srdl.evaluation.rerank import Reranking, rerank, reranked


@pytest.fixture
def people() -> tuple[np.ndarray, np.ndarray]:
    """12 queries and 60 gallery vectors of 12 people who are hard to tell apart."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, 6))
    vectors = centres.repeat(6, axis=0) + rng.normal(size=(72, 6)) * 0.7
    return vectors[::6].astype(np.float32), np.delete(vectors, np.s_[::6], axis=0).astype(np.float32)


def test_an_image_is_its_own_nearest_even_among_equal_ones():
    found = module._Neighbours.of(torch.ones(40, 3), 5, iter)
    assert found.ids[:, 0].tolist() == list(range(40))


def by_sets(queries: np.ndarray, gallery: np.ndarray, how: Reranking) -> np.ndarray:
    """The paper's text with Python's sets, an image at a time, in float64."""
    everything = np.concatenate([queries, gallery]).astype(np.float64)
    distance = ((everything[:, None] - everything[None]) ** 2).sum(axis=2)
    distance /= distance.max(axis=1, keepdims=True)
    order = np.argsort(distance, axis=1, kind="stable")

    def reciprocal(image: int, k: int) -> set[int]:
        return {int(other) for other in order[image, : k + 1] if image in order[other, : k + 1]}

    encoded = np.zeros_like(distance)
    for image in range(len(everything)):
        own = reciprocal(image, how.k1)
        grown = set(own)
        for other in own:
            small = reciprocal(other, int(np.around(how.k1 / 2)))
            if 3 * len(own & small) > 2 * len(small):
                grown |= small
        members = sorted(grown)
        encoded[image, members] = np.exp(-distance[image, members])
    encoded /= encoded.sum(axis=1, keepdims=True)
    encoded = np.stack([encoded[order[image, : how.k2]].mean(axis=0) for image in range(len(everything))])
    count = len(queries)
    result = np.empty((count, len(gallery)))
    for query in range(count):
        for item in range(len(gallery)):
            one, other = encoded[query], encoded[count + item]
            jaccard = 1 - np.minimum(one, other).sum() / np.maximum(one, other).sum()
            result[query, item] = (1 - how.weight) * jaccard + how.weight * distance[query, count + item]
    return result


@pytest.mark.parametrize("how", [Reranking(), Reranking(5, 3, 0.3), Reranking(7, 1, 0.0), Reranking(4, 6, 1.0), Reranking(100, 90, 0.5)])
def test_it_is_the_published_formula(people, how):
    np.testing.assert_allclose(rerank(*people, how), by_sets(*people, how), atol=2e-6)


def test_another_implementation_says_the_same(people):
    library = pytest.importorskip("torchreid.reid.utils.rerank")
    queries, gallery = (part.astype(np.float64) for part in people)

    def far(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.sqrt(((one[:, None] - other[None]) ** 2).sum(axis=2))

    expected = library.re_ranking(far(queries, gallery), far(queries, queries), far(gallery, gallery), k1=8, k2=3, lambda_value=0.3)
    np.testing.assert_allclose(rerank(*people, Reranking(8, 3, 0.3)), expected, atol=2e-5)


def test_blocks_change_nothing(people, monkeypatch):
    whole = rerank(*people)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * 72 * 5)
    parts = list(reranked(*people))
    assert [len(distances) for _, distances in parts] == [5, 5, 2]
    np.testing.assert_allclose(np.concatenate([distances for _, distances in parts]), whole, atol=1e-6)


def test_it_finds_more_of_the_same_person(people):
    queries, gallery = people
    of_query, of_gallery = np.arange(12), np.arange(12).repeat(5)
    before = ((queries[:, None] - gallery[None]) ** 2).sum(axis=2)

    def right(distances: np.ndarray) -> float:
        return float((of_gallery[np.argsort(distances, axis=1)[:, :5]] == of_query[:, None]).mean())

    assert right(rerank(queries, gallery, Reranking(6, 3, 0.3))) > right(before) + 0.02


def test_equal_images_are_near(people):
    queries, gallery = people
    gallery = np.concatenate([gallery, queries])
    assert (rerank(queries, gallery, Reranking(8, 1, 0.3)).argmin(axis=1) == np.arange(60, 72)).all()
    assert np.isfinite(rerank(np.ones((2, 3), np.float32), np.ones((4, 3), np.float32))).all()


@pytest.mark.parametrize("how", [Reranking(k1=0), Reranking(k2=0), Reranking(weight=1.5)])
def test_numbers_that_cannot_be(people, how):
    with pytest.raises(UserError):
        rerank(*people, how)


def test_the_defaults_are_those_of_the_paper():
    assert Reranking() == module.PAPER == Reranking(k1=20, k2=6, weight=0.3)
