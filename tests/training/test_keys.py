import dataclasses

import pytest
import torch

from reid_srdl import files
from reid_srdl.config import (
    Config,
    EmaConfig,
    LogConfig,
    LossConfig,
    MetricConfig,
    OptimiserConfig,
    PlanConfig,
    ReferenceConfig,
    ScheduleConfig,
)
from reid_srdl.training import plans
from reid_srdl.training.keys import stage_key


def key(config, number=0, **more):
    given = {"device": torch.device("cpu"), "data_hash": "h", "before": None, "reference": None, **more}
    return stage_key(config, plans.build(config)[number], number, **given)


def test_plans_that_begin_alike_share_the_key():
    srdl, half = Config(), Config(plan=PlanConfig(name="half"))
    assert key(srdl) == key(half) == key(dataclasses.replace(srdl, output="elsewhere", loss=LossConfig(temperature=5.0)))
    assert key(srdl) != key(Config(plan=PlanConfig(name="vanilla")))


def test_which_epoch_is_kept_matters():
    config = Config(log=LogConfig(eval_every=1), data=dataclasses.replace(Config().data, holdout_identities=5))
    vanilla, early = (dataclasses.replace(config, plan=PlanConfig(name=name)) for name in ("vanilla", "early_stopped"))
    assert key(vanilla) != key(early)


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


def test_weights_in_the_user_s_home_count_by_their_content_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config(model=dataclasses.replace(Config().model, weights="~/w.pth"))
    (tmp_path / "w.pth").write_bytes(b"one")
    before = key(config)
    (tmp_path / "w.pth").write_bytes(b"two")
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


def test_the_key_says_no_more_than_that_of_earlier_versions_while_nothing_newer_is_chosen(monkeypatch):
    """Letter by letter, of a stage that imitates and one that does not."""
    seen = []
    monkeypatch.setattr(files, "sha256_json", lambda value: seen.append(value) or "h")
    config = Config(plan=PlanConfig(epochs=4))
    key(config)
    key(config, 1, reference="r")
    model = {"backbone": "resnet50", "weights": "imagenet", "neck": "none", "last_stride": 2}
    optimiser = {"momentum": 0.9, "nesterov": True, "weight_decay": 2e-4}
    assert seen[0]["stage"] == {
        "epochs": 2, "start": "fresh", "model": model, "optimiser": optimiser, "rates": [0.1, 0.1 * 0.1], "losses": {"label_smoothing": 0.0, "scale": 1.0},
    }  # fmt: skip
    assert seen[1]["stage"]["losses"] == {
        "label_smoothing": 0.0, "temperature": 3.0, "imitation": None, "ramp_epochs": 0, "ramp_share": 0.0, "scale": 1.0,
    }  # fmt: skip
    assert seen[0]["augment"] == {"flip": 0.5, "pad": 4, "pad_mode": "reflect", "erase": 0.0}


@pytest.mark.parametrize(
    "change",
    [{"optimiser": OptimiserConfig(**{name: value})} for name, value in {
        "name": "adam", "betas": (0.9, 0.99), "spare_norms": True, "backbone_rate": 0.1, "frozen_epochs": 1, "clip": 5.0, "accumulate": 2}.items()]
    + [{"metric": MetricConfig(name)} for name in ("triplet", "circle", "arcface", "cosface")]
    + [{"ema": EmaConfig(0.9)}, {"schedule": ScheduleConfig("cosine")}, {"schedule": ScheduleConfig(warmup_epochs=2)}, {"loss": LossConfig(cross_entropy=0.5)}],
    ids=str,
)  # fmt: skip
def test_every_choice_of_the_strong_recipe_is_part_of_the_key(change):
    assert key(dataclasses.replace(Config(), **change)) != key(Config())


def test_what_is_chosen_of_a_metric_and_an_average_counts_too():
    different = [MetricConfig("triplet"), MetricConfig("triplet", weight=0.5), MetricConfig("triplet", margin=0.3)]
    assert len({key(Config(metric=metric)) for metric in different}) == 3
    assert len({key(Config(ema=ema)) for ema in (EmaConfig(0.9), EmaConfig(0.99), EmaConfig(0.9, use=False))}) == 3
    unused = MetricConfig(margin=0.3), EmaConfig(use=False), ScheduleConfig(warmup_from=0.5, final=0.1)
    assert key(Config(metric=unused[0], ema=unused[1], schedule=unused[2], reference=ReferenceConfig(weights="last"))) == key(Config())


def test_the_distance_counts_where_scores_on_the_way_are_by_it():
    assert key(Config(distance="cosine")) == key(Config())
    assert key(Config(distance="cosine", log=LogConfig(eval_every=1))) != key(Config(log=LogConfig(eval_every=1)))
