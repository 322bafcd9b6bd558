"""Which epoch is handed on where the best one is."""

import dataclasses

import pytest

from reid_srdl import runs
from reid_srdl.data.records import limit_identities
from reid_srdl.training.kept import chosen
from reid_srdl.training.run import train

from .test_run import Stop, breaking, equal, weights, with_plan


def test_the_first_of_the_highest_by_map_where_there_is_one():
    rows = [{"val_mAP": value, "val_top1": 1 - value} for value in (0.1, 0.5, 0.5, 0.2)]
    assert chosen(rows) == (1, "val_mAP")
    assert chosen([{"val_mAP": None, "val_top1": None}, {"val_mAP": None, "val_top1": 0.3}]) == (1, "val_top1")
    assert chosen([]) is None and chosen([{"val_mAP": None}]) is None


def test_the_best_epoch_is_kept_and_a_resume_keeps_the_same(config, people, watch, tmp_path):
    """Scores that rise and fall, so that the best is neither the first nor the last."""
    stopping = dataclasses.replace(
        with_plan(config, name="early_stopped"), log=dataclasses.replace(config.log, eval_every=1), data=dataclasses.replace(config.data, holdout_identities=1)
    )
    people = limit_identities(people, train=None, holdout=1)
    written = []

    def score(network, place):
        written.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"mAP": [0.1, 0.3, 0.5, 0.5, 0.2][(len(written) - 1) % 5]}

    folder = train(stopping, people, watch=watch, score=score)
    assert equal(weights(folder), [written[2]]) and not list(folder.rglob("best.safetensors"))
    assert [row["val_mAP"] for row in runs.read_log(folder / "stages/1-first")] == [0.1, 0.3, 0.5, 0.5, 0.2]
    told = runs.read_facts(folder)["stages"][0]["kept"]
    assert (told["by"], told["epoch"], told["val_mAP"]) == ("val_mAP", 2, 0.5)

    written.clear()
    broken = dataclasses.replace(stopping, output=str(tmp_path / "b/run"))
    with pytest.raises(Stop):
        train(broken, people, watch=breaking(watch, 11), score=score)
    assert equal(weights(folder), weights(train(broken, people, watch=watch, score=score, resume=True)))
