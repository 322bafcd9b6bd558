"""Genuine and impostor pairs: counts by hand, rates where they are known, intervals over people."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation.verification import Pairs, Roc, facts_of, pairs_of


def images(vectors, labels, cameras=None) -> Embeddings:
    return Embeddings(np.array(vectors, np.float32), None, np.array(labels), None if cameras is None else np.array(cameras), "m")


def of(distances, genuine, identities=None) -> Pairs:
    order = np.argsort(distances, kind="stable")
    identities = np.zeros((len(distances), 2), np.int64) if identities is None else identities
    return Pairs(np.array(distances, np.float32)[order], np.array(genuine)[order], identities[order], None)


def test_pairs_are_across_cameras_and_of_known_people():
    found = pairs_of(images([[0], [1], [3], [7], [50], [60]], [4, 4, 9, 9, 0, -1], [1, 2, 1, 2, 1, 2]))
    # Of cameras 1 and 2: (0, 1), (0, 7), (3, 1), (3, 7).
    assert found.distances.tolist() == [1, 4, 16, 49] and found.genuine.tolist() == [True, False, True, False]
    assert found.identities.tolist() == [[0, 0], [0, 1], [1, 1], [0, 1]] and found.cameras.tolist() == [[1, 2]] * 4
    assert len(pairs_of(images([[0], [1], [3], [7]], [4, 4, 9, 9], [1, 1, 1, 1]))) == 6
    assert len(pairs_of(images([[0], [1], [3], [7]], [4, 4, 9, 9], [1, 2, 1, 2]), across_cameras=False)) == 6
    with pytest.raises(UserError, match="one camera"):
        pairs_of(images([[0], [1]], [4, 5], [1, 1]), across_cameras=True)
    with pytest.raises(UserError, match="no genuine pairs across cameras"):
        pairs_of(images([[0], [1], [2]], [4, 5, 4], [1, 2, 1]))


def test_cosine_distances_ignore_lengths():
    found = pairs_of(images([[2, 0], [0, 3], [5, 5]], [1, 1, 2]), metric="cosine")
    np.testing.assert_allclose(found.distances, [1 - np.sqrt(0.5), 1 - np.sqrt(0.5), 1], atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_images_that_are_all_alike_have_facts_too(metric):
    vectors = np.tile(np.random.default_rng(2).standard_normal(64), (40, 1))
    found = pairs_of(images(vectors, np.arange(40) % 8), metric=metric)
    assert (found.distances >= 0).all()
    histogram = facts_of(found, draws=3)["histogram"]
    assert sum(histogram["genuine"]) == found.genuine.sum() and sum(histogram["impostor"]) == (~found.genuine).sum()


def test_all_images_are_taken_where_there_is_room():
    labels = np.repeat([1, 2, 3, 0], [4, 4, 40, 30])
    assert len(pairs_of(images(np.arange(78)[:, None], labels), most_images=48)) == 48 * 47 // 2


def test_weights_are_counted_beyond_what_float32_can():
    many = 1 << 12
    pairs = of(np.arange(many + 1), [True] + [False] * many)
    weights = np.full(many + 1, 1 << 13, np.float32)
    weights[2::2] = 1
    roc = Roc.of(pairs, weights)
    assert roc.fpr[-2] == 1 - float(weights[-1]) / weights[1:].astype(np.float64).sum()


def test_of_many_images_whole_people_are_drawn():
    labels = np.repeat(np.arange(1, 51), 4)
    chosen = pairs_of(images(np.arange(200)[:, None], labels), most_images=41, seed=3)
    counts = np.bincount(chosen.identities[chosen.genuine][:, 0])
    assert counts.tolist() == [6] * 10  # all pairs of 4 images, of 10 people
    assert not np.array_equal(chosen.distances, pairs_of(images(np.arange(200)[:, None], labels), most_images=41, seed=4).distances)


def test_of_a_person_of_many_images_some_of_each_camera_are_drawn():
    labels, cameras = np.repeat([1, 2, 3], 40), np.tile([1] * 37 + [2, 3, 4], 3)
    found = pairs_of(images(np.arange(120)[:, None], labels, cameras), most_images=12)
    assert np.bincount(found.identities[found.genuine][:, 0]).tolist() == [6, 6, 6]  # of four images by four cameras


def test_rates_by_hand():
    roc = Roc.of(of([1, 2, 2, 3, 4], [True, True, False, True, False]))
    assert roc.thresholds.tolist() == [1, 2, 3, 4] and roc.fpr.tolist() == [0, 0.5, 0.5, 1]
    np.testing.assert_allclose(roc.tpr, [1 / 3, 2 / 3, 1, 1])
    assert roc.tpr_at(0.4) == pytest.approx(1 / 3) and roc.tpr_at(0.5) == 1
    # Between thresholds 1 (fpr 0, refused 2/3) and 2 (1/2, 1/3) the two rates meet at 2/5.
    rate, threshold = roc.equal_error()
    assert rate == pytest.approx(0.4) and threshold == pytest.approx(1.8)
    perfect = Roc.of(of([1, 2, 3], [True, True, False])).equal_error()
    assert perfect[0] == pytest.approx(0, abs=1e-9) and 1 <= perfect[1] <= 2
    assert Roc.of(of([1, 2, 3], [False, False, True])).equal_error()[0] == pytest.approx(1)


def test_the_equal_error_rate_of_two_normal_distributions():
    rng = np.random.default_rng(0)
    distances = np.concatenate([rng.normal(10, 1, 40000), rng.normal(12, 1, 40000)])
    rate, threshold = Roc.of(of(distances, np.arange(80000) < 40000)).equal_error()
    assert rate == pytest.approx(norm.sf(1), abs=0.005) and threshold == pytest.approx(11, abs=0.02)


def test_weights_count_pairs_as_often():
    pairs = of([1, 2, 3, 4], [True, False, True, False])
    many = Roc.of(of([1, 2, 2, 2, 3, 4], [True, False, False, False, True, False]))
    weighted = Roc.of(pairs, np.array([1.0, 3.0, 1.0, 1.0]))
    assert weighted.fpr.tolist() == many.fpr.tolist() and weighted.tpr.tolist() == many.tpr.tolist()


@pytest.fixture(scope="module")
def people() -> Embeddings:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(1, 41), 6)
    vectors = rng.normal(size=(40, 8))[labels - 1] + rng.normal(size=(240, 8)) * rng.uniform(0.3, 1.2, 40)[labels - 1, None]
    return images(vectors, labels, np.tile([1, 2, 3], 80))


def test_facts_agree_with_the_pairs(people):
    pairs = pairs_of(people)
    facts = facts_of(pairs, draws=60)
    assert facts["pairs"] == {"genuine": 40 * 12, "impostor": len(pairs) - 480, "identities": 40}
    assert facts["eer"] == Roc.of(pairs).equal_error()[0] and facts["eer_low"] < facts["eer"] < facts["eer_high"]
    assert facts["tpr_at_fpr"]["0.1"]["low"] < facts["tpr_at_fpr"]["0.1"]["tpr"] < facts["tpr_at_fpr"]["0.1"]["high"]
    assert facts["tpr_at_fpr"]["0.01"]["tpr"] < facts["tpr_at_fpr"]["0.1"]["tpr"] and facts["tpr_at_fpr"]["0.0001"] is None  # 2 impostors or so
    assert [row["cameras"] for row in facts["camera_pairs"]] == [[1, 2], [1, 3], [2, 3]]
    assert sum(row["genuine"] for row in facts["camera_pairs"]) == 480 and all(0 < row["eer"] < 0.5 for row in facts["camera_pairs"])
    assert sum(facts["histogram"]["genuine"]) == 480 and len(facts["histogram"]["edges"]) == len(facts["histogram"]["impostor"]) + 1
    assert facts["roc"]["fpr"] == sorted(facts["roc"]["fpr"]) and facts["roc"]["tpr"][-1] == 1


def test_intervals_come_from_people_not_from_pairs(people):
    """With every image there twice there are four times the pairs, and not a person more: the interval must not shrink."""
    pairs = pairs_of(people)
    twice = pairs.take(np.repeat(np.arange(len(pairs)), 4))
    one, other = (facts_of(part, draws=80) for part in (pairs, twice))
    assert other["eer_high"] - other["eer_low"] == pytest.approx(one["eer_high"] - one["eer_low"], rel=0.1)


def test_a_draw_has_a_pair_as_often_as_its_people_meet(people):
    """By hand: an impostor pair once for each of the one with each of the other, a genuine pair once for each of its person."""
    pairs = pairs_of(people)
    times = np.bincount(np.random.default_rng(5).integers(0, 40, 40), minlength=40)
    again = [times[one] if one == other else times[one] * times[other] for one, other in pairs.identities]
    expected = Roc.of(pairs.take(np.repeat(np.arange(len(pairs)), again))).equal_error()[0]
    assert facts_of(pairs, draws=1, seed=5)["eer_low"] == pytest.approx(expected)


def test_a_metric_that_there_is_not():
    with pytest.raises(UserError, match="there is no metric 'cos'. Choose euclidean or cosine."):
        pairs_of(Embeddings(np.eye(2), labels=[1, 2]), metric="cos")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_vectors_that_are_too_long_are_refused(metric):
    with pytest.raises(UserError, match="vector is too long for distances in float32"):
        pairs_of(images(np.eye(4) * 1e19, [1, 1, 2, 2]), metric=metric)


def test_of_the_draws_the_middle_95_percent_are_the_interval(people, monkeypatch):
    monkeypatch.setattr("reid_srdl.evaluation.verification._bootstrap", lambda pairs, rates, *_: np.linspace(0, 1, 201)[:, None].repeat(1 + len(rates), axis=1))
    facts = facts_of(pairs_of(people))
    for low, high in ((facts["eer_low"], facts["eer_high"]), (facts["tpr_at_fpr"]["0.1"]["low"], facts["tpr_at_fpr"]["0.1"]["high"])):
        assert (low, high) == pytest.approx((0.025, 0.975))


@pytest.mark.parametrize(("genuine", "told"), [(9, False), (10, True)])
def test_of_too_few_pairs_of_either_kind_no_error_is_told(genuine, told):
    pairs = Pairs(np.arange(60, dtype=np.float32), np.arange(60) < genuine, np.tile([0, 1], (60, 1)), np.tile([1, 2], (60, 1)))
    (row,) = facts_of(pairs, draws=3)["camera_pairs"]
    assert (row["eer"] is not None) == told and row["genuine"] == genuine


def test_the_drawn_curve_has_the_most_that_each_false_positive_rate_allows(people):
    roc = Roc.of(pairs_of(people))
    drawn = facts_of(pairs_of(people), draws=3)["roc"]
    assert drawn["tpr"] == [roc.tpr_at(rate) for rate in drawn["fpr"]] and drawn["fpr"][0] == 0
