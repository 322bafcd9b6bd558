"""Which epoch is handed on where the best one is."""

import dataclasses
from pathlib import Path

import pytest

from reid_srdl import runs
from reid_srdl.data.records import limit_identities
from reid_srdl.errors import UserError
from reid_srdl.training import checkpoint, log
from reid_srdl.training.kept import chosen
from reid_srdl.training.run import train

from .test_run import Stop, breaking, equal, weights, with_plan


def test_the_first_of_the_highest_by_map_where_there_is_one():
    rows = [{"val_mAP": value, "val_top1": 1 - value} for value in (0.1, 0.5, 0.5, 0.2)]
    assert chosen(rows) == (1, "val_mAP")
    assert chosen([{"val_mAP": None, "val_top1": None}, {"val_mAP": None, "val_top1": 0.3}]) == (1, "val_top1")
    assert chosen([]) is None and chosen([{"val_mAP": None}]) is None


def test_a_score_that_is_not_finite_is_kept_only_until_one_is():
    nan, infinite = float("nan"), float("inf")
    for values, best in (((nan, 0.1, infinite, 0.3, nan), 3), ((nan, infinite), 0)):
        assert chosen([{"val_mAP": value} for value in values]) == (best, "val_mAP")


@pytest.fixture
def stopping(config):
    return dataclasses.replace(
        with_plan(config, name="early_stopped"), log=dataclasses.replace(config.log, eval_every=1), data=dataclasses.replace(config.data, holdout_identities=1)
    )


@pytest.fixture
def people(people):
    return limit_identities(people, train=None, holdout=1)


def test_the_best_epoch_is_kept_and_a_resume_keeps_the_same(stopping, people, watch, tmp_path):
    """Scores that rise and fall, so that the best is neither the first nor the last."""
    written = []

    def score(network, place):
        written.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"mAP": [0.1, 0.3, 0.5, 0.5, 0.2][(len(written) - 1) % 5]}

    folder = train(stopping, people, watch=watch, score=score)
    assert equal(weights(folder), [written[2]]) and not list(folder.rglob("best*"))
    assert [row["val_mAP"] for row in runs.read_log(folder / "stages/1-first")] == [0.1, 0.3, 0.5, 0.5, 0.2]
    told = runs.read_facts(folder)["stages"][0]["kept"]
    assert (told["by"], told["epoch"], told["val_mAP"]) == ("val_mAP", 2, 0.5)

    written.clear()
    broken = dataclasses.replace(stopping, output=str(tmp_path / "b/run"))
    with pytest.raises(Stop):
        train(broken, people, watch=breaking(watch, 11), score=score)
    assert equal(weights(folder), weights(train(broken, people, watch=watch, score=score, resume=True)))


@pytest.mark.parametrize("killed_in", ["append", "save"])
def test_an_epoch_that_is_trained_again_to_another_score_takes_nobody_s_place(stopping, people, watch, monkeypatch, killed_in):
    """As under other threads: killed behind the best network and before the state was saved, the second epoch is no longer the best."""
    written, scores = [], [0.3, 0.5, 0.1, 0.2, 0.2, 0.2]

    def score(network, place):
        written.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"mAP": scores[len(written) - 1]}

    def killed(real):
        def dying(*words):
            if len(written) == 2:
                raise Stop
            real(*words)

        return dying

    with monkeypatch.context() as patched:
        module = {"append": log, "save": checkpoint}[killed_in]
        patched.setattr(module, killed_in, killed(getattr(module, killed_in)))
        with pytest.raises(Stop):
            train(stopping, people, watch=watch, score=score)
    assert len(list(Path(stopping.output).rglob("best-*"))) == 2, "the former best waits until the state is saved"
    folder = train(stopping, people, watch=watch, score=score, resume=True)
    assert [row["val_mAP"] for row in runs.read_log(folder / "stages/1-first")] == [0.3, 0.1, 0.2, 0.2, 0.2]
    assert equal(weights(folder), [written[0]]) and not list(folder.rglob("best*"))


def test_an_epoch_that_a_score_of_one_s_own_chose_is_handed_to_no_other_run(stopping, people, watch, tmp_path):
    for name, best in (("rising", 4), ("falling", 0)):
        scores = iter([1 - abs(epoch - best) / 10 for epoch in range(5)])
        folder = train(dataclasses.replace(stopping, output=str(tmp_path / "runs" / name)), people, watch=watch, score=lambda network, place, scores=scores: {"mAP": next(scores)})
        told = runs.read_facts(folder)["stages"][0]
        assert told["kept"]["epoch"] == best and not told["shared"]


def test_without_a_score_nothing_begins(stopping, people, watch):
    with pytest.raises(UserError, match="stage first keeps the epoch that scores best, and there is nobody who scores. Give train a score"):
        train(stopping, people, watch=watch)
    assert watch.steps == 0 and not Path(stopping.output).exists()


def test_a_score_that_no_epoch_can_be_chosen_by_ends_the_run_at_the_first_epoch_and_another_goes_on(stopping, people, watch):
    later = dataclasses.replace(stopping, log=dataclasses.replace(stopping.log, eval_every=2))
    with pytest.raises(UserError, match="chosen by mAP or top1, and the score of epoch 1 holds rank1, loss"):
        train(later, people, watch=watch, score=lambda network, place: {"rank1": 0.5, "loss": 1.0})
    assert len(watch.rows) == 2
    folder = train(later, people, watch=watch, score=lambda network, place: {"mAP": 0.5}, resume=True)
    assert [row["val_mAP"] for row in runs.read_log(folder / "stages/1-first")] == [None, 0.5, None, 0.5, None]
