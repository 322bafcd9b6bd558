import dataclasses

import pytest
import torch

from reid_srdl import runs
from reid_srdl.commands.eval import default_output
from reid_srdl.config import EmaConfig, OptimiserConfig, ReferenceConfig
from reid_srdl.errors import UserError
from reid_srdl.training import handed_on
from reid_srdl.training import reference as references
from reid_srdl.training.run import train

EMA = EmaConfig(decay=0.7)


def srdl(config, folder, ema=EMA, **reference):
    return dataclasses.replace(config, output=str(folder), ema=ema, reference=ReferenceConfig(**reference))


def hashes(stage):
    return {name: runs.read_model(stage / f"{name}.safetensors").hash for name in ("last", "ema", "model")}


def imitated_hash(run):
    return references.load(run / "stages/1-first/reference.safetensors").how


def test_a_stage_with_an_average_leaves_both_and_hands_on_the_one_that_is_used(config, people, watch, tmp_path):
    scored = []

    def score(network, place):
        scored.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"mAP": 0.5}

    config = dataclasses.replace(config, log=dataclasses.replace(config.log, eval_every=1))
    used = train(srdl(config, tmp_path / "a/run"), people, watch=watch, score=score)
    found = hashes(used / "stages/2-second")
    assert found["model"] == found["ema"] != found["last"]
    assert runs.state_hash(scored[-1]) == runs.state_hash(runs.read_model(used / "stages/2-second/ema.safetensors").state), "scores on the way are of the network that is handed on"
    assert runs.load(used).model_hash == found["ema"] and runs.load(used / "stages/2-second/last.safetensors").model_hash == found["last"]
    unused = train(srdl(config, tmp_path / "b/run", dataclasses.replace(EMA, use=False)), people, watch=watch, score=score)
    found_unused = hashes(unused / "stages/1-first")
    first = hashes(used / "stages/1-first")
    assert found_unused["model"] == found_unused["last"] == first["last"] and found_unused["ema"] == first["ema"], "the average changes nothing of training"


def test_the_other_weights_are_scored_beside_those_of_the_run(config, people, watch):
    folder = train(dataclasses.replace(config, ema=EMA), people, watch=watch)
    where = {path: default_output(path, runs.load(path), "people") for path in (folder, *(folder / "stages").glob("*/*.safetensors")) if path.name != runs.REFERENCE}
    names = {str(path.relative_to(folder)): output.name for path, output in where.items()}
    assert names == {
        ".": "people", "stages/2-second/model.safetensors": "people", "stages/2-second/last.safetensors": "people-last",
        "stages/2-second/ema.safetensors": "people-ema", "stages/1-first/model.safetensors": "people-1-first",
        "stages/1-first/last.safetensors": "people-1-first-last", "stages/1-first/ema.safetensors": "people-1-first-ema",
    }  # fmt: skip


def test_without_an_average_there_is_one_network(config, people, watch):
    folder = train(config, people, watch=watch)
    assert sorted(path.name for path in (folder / "stages/2-second").iterdir()) == ["log.csv", "model.safetensors"]


@pytest.mark.parametrize("use", [True, False])
@pytest.mark.parametrize("weights", ["used", "last", "ema"])
def test_whose_beliefs_are_imitated(config, people, watch, tmp_path, weights, use):
    folder = train(srdl(config, tmp_path / "runs/run", dataclasses.replace(EMA, use=use), weights=weights), people, watch=watch)
    found = hashes(folder / "stages/1-first")
    wanted = {"used": found["model"], "last": found["last"], "ema": found["ema"]}[weights]
    assert wanted in imitated_hash(folder)


def test_the_last_of_a_stage_without_an_average_is_its_network_and_an_average_that_is_missing_is_missed(config, people, watch, tmp_path):
    one = train(config, people, watch=watch)
    other = train(srdl(config, tmp_path / "runs/other", EmaConfig(), weights="last"), people, watch=watch)
    assert imitated_hash(one) == imitated_hash(other) and runs.read_facts(other)["stages"][1]["shared"]
    with pytest.raises(UserError, match="ema.safetensors"):
        runs.read_model(handed_on.weights_file(one / "stages/1-first", "ema"))


def test_a_stage_from_the_store_brings_both(config, people, watch, tmp_path):
    train(srdl(config, tmp_path / "runs/one"), people, watch=watch)
    folder = train(srdl(config, tmp_path / "runs/two", weights="last"), people, watch=watch)
    facts = runs.read_facts(folder)["stages"]
    assert facts[0]["shared"] and not facts[1]["shared"]
    found = hashes(folder / "stages/1-first")
    assert found["last"] in imitated_hash(folder)


def test_to_continue_is_from_what_was_handed_on(config, people, watch):
    slow = dataclasses.replace(config.plan.second, rate=1e-12)
    config = dataclasses.replace(
        config, ema=EMA, plan=dataclasses.replace(config.plan, name="continued", second=slow), optimiser=OptimiserConfig(momentum=0.0, weight_decay=0.0)
    )
    folder = train(config, people, watch=watch)
    first, second = (runs.read_model(folder / f"stages/{stage}/model.safetensors").state for stage in ("1-first", "2-second"))
    assert torch.allclose(first["classifier.weight"], second["classifier.weight"], atol=1e-6)
