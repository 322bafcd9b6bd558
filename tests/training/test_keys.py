import dataclasses

import torch

from reid_srdl import files
from reid_srdl.config import Config, LossConfig, PlanConfig
from reid_srdl.training import plans
from reid_srdl.training.keys import stage_key


def key(config, number=0, **more):
    given = {"device": torch.device("cpu"), "data_hash": "h", "before": None, "reference": None, **more}
    return stage_key(config, plans.build(config)[number], number, **given)


def test_plans_that_begin_alike_share_the_key():
    srdl, half = Config(), Config(plan=PlanConfig(name="half"))
    assert key(srdl) == key(half) == key(dataclasses.replace(srdl, output="elsewhere", loss=LossConfig(temperature=5.0)))
    assert key(srdl) != key(Config(plan=PlanConfig(name="vanilla")))


def test_soft_targets_data_and_place_in_the_plan_matter():
    config = Config()
    keys = {key(config), key(config, 1), key(config, 1, reference="a"), key(config, 1, reference="b"), key(config, data_hash="other"), key(config, before="x")}
    assert len(keys) == 6


def test_initial_weights_from_a_file_count_by_their_content(tmp_path):
    file = tmp_path / "w.pth"
    config = Config(model=dataclasses.replace(Config().model, weights=str(file)))
    file.write_bytes(b"one")
    before = key(config)
    file.write_bytes(b"two")
    assert key(config) != before


def test_crops_are_part_of_the_key_and_whole_images_are_not():
    config = Config()
    cropped = dataclasses.replace(config, data=dataclasses.replace(config.data, crop="imagenet"))
    assert key(cropped) != key(config)


def test_the_key_of_whole_images_is_that_of_earlier_versions(monkeypatch):
    """So that stages that are stored already are found again."""
    seen = []
    monkeypatch.setattr(files, "sha256_json", lambda value: seen.append(value) or "h")
    key(Config())
    assert "crop" not in seen[0] and "pooling" not in seen[0]["stage"]["model"]
    gem = Config(model=dataclasses.replace(Config().model, pooling="gem"))
    key(gem)
    assert seen[1]["stage"]["model"]["pooling"] == "gem"
