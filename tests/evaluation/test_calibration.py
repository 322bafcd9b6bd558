"""Probabilities of distances: right where they are known, moved by the prior, chosen on other people."""

from __future__ import annotations

import numpy as np
import pytest

from reid_srdl import files
from reid_srdl.errors import UserError
from reid_srdl.evaluation import calibration
from reid_srdl.evaluation.calibration import Calibration, fit
from reid_srdl.evaluation.verification import Pairs

OF = {"model": "abc", "metric": "euclidean", "flip": False}


def drawn(genuine: np.ndarray, impostor: np.ndarray, people: int = 50) -> Pairs:
    """Pairs with these distances; the people are drawn."""
    rng = np.random.default_rng(1)
    first = rng.integers(0, people, len(genuine) + len(impostor))
    second = np.where(np.arange(len(first)) < len(genuine), first, (first + rng.integers(1, people, len(first))) % people)
    distances = np.concatenate([genuine, impostor]).astype(np.float32)
    order = np.argsort(distances, kind="stable")
    return Pairs(distances[order], (first == second)[order], np.column_stack([first, second])[order], None)


@pytest.fixture(scope="module")
def normal() -> Pairs:
    """Genuine at 10 and impostors at 13, of spread 1.5: the log odds at even odds are (11.5 - d) * 3 / 1.5^2. There are nine times the impostors."""
    rng = np.random.default_rng(0)
    return drawn(rng.normal(10, 1.5, 4000), rng.normal(13, 1.5, 36000))


@pytest.mark.parametrize("method", ["platt", "isotonic", "auto"])
def test_the_probability_is_that_of_the_distributions(normal, method):
    made = fit(normal, **OF, method=method)
    at = np.linspace(8, 15, 15)
    truth = 1 / (1 + np.exp(-(11.5 - at) * 3 / 1.5**2))
    np.testing.assert_allclose(made.probability(at), truth, atol=0.04)
    assert made.probability(at.reshape(3, 5)).shape == (3, 5) and (np.diff(made.probability(np.linspace(-5, 30, 400))) <= 0).all()
    assert made.threshold(0.5) == pytest.approx(11.5, abs=0.15)


def test_the_prior_moves_it_by_bayes_rule(normal):
    even, rare = fit(normal, **OF, method="platt"), fit(normal, **OF, method="platt", prior=0.1)
    odds = even.probability(np.array([11.0])) / (1 - even.probability(np.array([11.0])))
    moved = odds / 9 / (1 + odds / 9)
    np.testing.assert_allclose(rare.probability(np.array([11.0])), moved)
    np.testing.assert_allclose(even.probability(np.array([11.0]), prior=0.1), moved)
    assert rare.threshold(0.5) < even.threshold(0.5) and rare.threshold(0.5) == pytest.approx(even.threshold(0.9), abs=0.02)
    # At the share of genuine pairs that there is, probabilities are shares.
    near = (normal.distances > 10.8) & (normal.distances < 11.2)
    assert rare.probability(normal.distances[near]).mean() == pytest.approx(normal.genuine[near].mean(), abs=0.03)


def test_auto_takes_the_shape_that_fits_others_better(normal):
    rng = np.random.default_rng(0)
    assert fit(normal, **OF).facts["method"] == "platt"
    # Impostors near and far: no logistic curve has a step.
    stepped = drawn(rng.uniform(0, 4, 4000), np.concatenate([rng.uniform(0, 4, 4000), rng.uniform(4, 20, 16000)]))
    made = fit(stepped, **OF)
    assert made.facts["method"] == "isotonic" and made.facts["held_out_log_loss"]["isotonic"] < made.facts["held_out_log_loss"]["platt"] < np.log(2)
    np.testing.assert_allclose(made.probability(np.array([2.0, 10.0])), [1 / 1.2, 0], atol=0.03)


def test_threshold_and_probability_agree(normal):
    for method in ("platt", "isotonic"):
        made = fit(normal, **OF, method=method)
        for wanted in (0.05, 0.5, 0.9):
            at = made.threshold(wanted)
            assert made.probability(np.array([at]))[0] >= wanted - 1e-6 and made.probability(np.array([at + 0.2]))[0] < wanted
        assert made.threshold(0.99999999) == -np.inf and made.most() == made.probability(np.zeros(1))[0] < 0.99999999


def test_where_every_distance_is_sure_enough_there_is_no_limit():
    made = Calibration("m", "euclidean", False, np.array([0.0, 500.0]), np.array([4.0, -6.0]), 0.5, {})
    assert made.threshold(0.5, prior=0.999) == np.inf and made.probability(np.array([600.0]), prior=0.999)[0] > 0.5
    assert made.threshold(0.5) == pytest.approx(200)


def test_where_the_nearer_are_no_likelier_a_distance_tells_nothing(normal):
    turned = Pairs(normal.distances, ~normal.genuine, normal.identities, None)
    found = fit(turned, method="platt", **OF)
    assert found.probability(np.array([5.0, 11.5, 20.0])) == pytest.approx([0.5] * 3)


def test_it_is_kept_with_the_run(normal, tmp_path):
    assert calibration.of_run(tmp_path) is None
    made = fit(normal, **OF)
    made.save(tmp_path / "calibration.json")
    again = calibration.of_run(tmp_path)
    assert (again.model, again.metric, again.flip, again.prior, again.facts) == ("abc", "euclidean", False, 0.5, made.facts)
    assert np.array_equal(again.probability(normal.distances), made.probability(normal.distances))
    values = files.read_json(tmp_path / "calibration.json")
    for wrong in ({**values, "format": 9}, [1], {**values, "more": 1}):
        files.write_json(tmp_path / "calibration.json", wrong)
        with pytest.raises(UserError, match=r"calibration\.json"):
            Calibration.load(tmp_path / "calibration.json")


def test_what_cannot_be(normal):
    with pytest.raises(UserError, match="prior"):
        fit(normal, **OF, prior=1.0)
    few = drawn(np.array([1.0, 2.0]), np.array([3.0, 4.0]), people=2)
    with pytest.raises(UserError, match="too few"):
        fit(few, **OF)


def test_distances_are_those_that_it_was_fitted_on():
    one, other = np.array([3.0, 0.0, 4.0], np.float32), np.array([0.0, 5.0, 0.0], np.float32)
    made = {metric: Calibration("m", metric, False, np.array([0.0, 1.0]), np.array([1.0, -1.0]), 0.5, {}) for metric in ("euclidean", "cosine")}
    assert made["euclidean"].distance(one, other) == 50 and made["cosine"].distance(one, other) == 1 and made["cosine"].distance(one, 2 * one) == pytest.approx(0)
    assert made["cosine"].distance(one, 0 * one) == 1


def test_who_is_held_out_of_a_fold_is_in_none_of_the_pairs_that_it_is_fitted_on(normal, monkeypatch):
    seen, platt = [], calibration._platt
    monkeypatch.setitem(calibration._FITS, "platt", lambda pairs: seen.append(len(np.unique(pairs.identities))) or platt(pairs))
    fit(normal, **OF, method="platt")
    assert seen == [40] * 5 + [50]  # of 50 people, a fifth is held out of each fold


def test_the_loss_on_others_is_at_even_odds_however_few_pairs_are_genuine():
    rng = np.random.default_rng(0)
    pairs = drawn(rng.normal(10, 1, 2000), rng.normal(14, 4, 18000))
    made = fit(pairs, **OF, method="platt")
    odds = np.interp(pairs.distances, made.distances, made.log_odds)
    by_kind = [np.logaddexp(0, sign * odds[of]).mean() for sign, of in ((-1, pairs.genuine), (1, ~pairs.genuine))]
    assert abs(by_kind[0] - by_kind[1]) > 0.1
    assert made.facts["held_out_log_loss"]["platt"] == pytest.approx(np.mean(by_kind), abs=0.02)


def test_of_few_genuine_pairs_nobody_is_surer_than_so_few_allow():
    """The rarer kind says how sure: of 40 the next may be the other way."""
    made = fit(drawn(np.linspace(0, 1, 40), np.linspace(5, 9, 4000)), **OF, method="isotonic")
    assert made.most() == pytest.approx(1 - 1 / 82)


def test_the_curve_of_few_pairs_is_as_steep_as_they_say():
    """Without a penalty the fit leaves no error in the mean, nor along the distance, at even weights."""
    rng = np.random.default_rng(0)
    pairs = drawn(rng.normal(10, 1.5, 40), rng.normal(13, 1.5, 80))
    probability = fit(pairs, **OF, method="platt").probability(pairs.distances)
    error, of = pairs.genuine - probability, pairs.genuine
    for values in (error, error * pairs.distances):
        assert values[of].mean() + values[~of].mean() == pytest.approx(0, abs=5e-3)
