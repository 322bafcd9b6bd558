import dataclasses

import pytest
import torch

from reid_srdl import devices, files, models, ranks
from reid_srdl.commands.kinds import kind_of
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
    given = {"device": torch.device("cpu"), "data_hash": "h", "scored": "s" if config.log.eval_every else None, "before": None, "reference": None, **more}
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


def test_the_images_that_are_scored_count_and_where_nobody_scores_the_key_is_that_of_earlier_versions():
    config = Config(log=LogConfig(eval_every=1))
    assert len({key(config, scored="one"), key(config, scored="another"), key(config, scored=None)}) == 3
    assert key(config, scored=None) == key(Config())


def test_the_distance_counts_where_scores_on_the_way_are_by_it():
    assert key(Config(distance="cosine")) == key(Config())
    assert key(Config(distance="cosine", log=LogConfig(eval_every=1))) != key(Config(log=LogConfig(eval_every=1)))


COUNTS = {
    "seed": 1, "precision": "bf16", "compile": True, "distance": "cosine",
    "data.height": 128, "data.width": 64, "data.batch": 16, "data.sampler": "random", "data.instances": 2, "data.crop": "imagenet", "data.holdout_identities": 2, "data.holdout_per_class": 2,
    "augment.flip": 0.4, "augment.pad": 2, "augment.pad_mode": "zeros", "augment.erase": 0.5,
    "model.backbone": "small", "model.weights": "none", "model.neck": "bnneck", "model.last_stride": 1, "model.pooling": "gem",
    "optimiser.name": "adam", "optimiser.rate": 0.2, "optimiser.momentum": 0.8, "optimiser.nesterov": False, "optimiser.betas": (0.8, 0.99), "optimiser.weight_decay": 0.0,
    "optimiser.spare_norms": True, "optimiser.backbone_rate": 0.5, "optimiser.frozen_epochs": 1, "optimiser.clip": 1.0, "optimiser.accumulate": 2,
    "schedule.name": "cosine", "schedule.drops": (0.5,), "schedule.factor": 0.3, "schedule.warmup_epochs": 3, "schedule.warmup_from": 0.2, "schedule.final": 0.1,
    "loss.cross_entropy": 0.5, "loss.label_smoothing": 0.1, "loss.temperature": 4.0, "loss.imitation": 2.0, "loss.ramp_epochs": 4, "loss.ramp_share": 0.5, "loss.scale": 0.5,
    "metric.name": "circle", "metric.weight": 0.5, "metric.margin": 0.3, "metric.scale": 32.0,
    "ema.decay": 0.99, "ema.use": False,
    "plan.name": "continued", "plan.epochs": 22, "plan.generations": 2, "plan.teacher.backbone": "small", "plan.teacher.weights": "none", "plan.teacher.epochs": 8,
    **{f"plan.{stage}.{name}": value for stage in ("first", "second") for name, value in {"epochs": 8, "rate": 0.3, "label_smoothing": 0.2, "scale": 0.25}.items()},
    "log.eval_every": 2, "log.eval_split": "test",
}  # fmt: skip
"""Every choice that the weights or the log of a stage depend on, and another value of it than in ``EVERYTHING``."""

DOES_NOT = {
    "output": "elsewhere", "device": "cpu", "threads": 3, "evaluate": "none",
    # The hash of the training images says it.
    "dataset": "market1501", "data_root": "elsewhere", "data.train_identities": 5, "data.train_per_class": 5, "data.skip_corrupt": True,
    "data.memory_gb": 0.0, "data.workers": 3,
    # How the soft targets were made says it.
    "reference.weights": "last", "reference.flip": True, "reference.views": 2, "reference.top_k": 3, "reference.shuffle": True, "plan.teacher.checkpoint": "runs/teacher",
    "log.diagnostics": False, "log.tensorboard": False, "log.wandb": True, "log.checkpoint_minutes": 1.0,
}  # fmt: skip
"""Every other choice. What is not a choice but found (threads, processes, device) has a test of its own."""

EVERYTHING = {
    "data.sampler": "identity", "metric.name": "triplet", "ema.decay": 0.9, "schedule.warmup_epochs": 2, "plan.epochs": 20, "log.eval_every": 1, "data.holdout_identities": 1,
}  # fmt: skip
WHERE = {
    "schedule.final": {"schedule.name": "cosine"}, "plan.generations": {"plan.name": "born_again"}, **{f"plan.teacher.{name}": {"plan.name": "kd"} for name in ("backbone", "weights", "epochs")},
}  # fmt: skip
"""What must be chosen beside it for a choice to mean anything."""


def leaves(config, before=""):
    """Every choice by its name in full, and what it is."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        yield from leaves(value, f"{before}{f.name}.") if dataclasses.is_dataclass(value) else [(before + f.name, value)]


def choosing(config, name, value):
    first, _, rest = name.partition(".")
    return dataclasses.replace(config, **{first: choosing(getattr(config, first), rest, value) if rest else value})


def keys_with(choices):
    """Of all stages, each after a stage that it may go on from, and of what it imitates."""
    config = Config()
    for name, value in choices.items():
        config = choosing(config, name, value)
    return [key(config, number, reference="r" if stage.reference else None, before="b" if stage.start == "continue" else None) for number, stage in enumerate(plans.build(config))]


def test_of_every_choice_it_is_said_whether_it_counts():
    """A new one counts or does not: put it in one of the lists."""
    assert not COUNTS.keys() & DOES_NOT.keys()
    assert {name for name, _ in leaves(Config())} == COUNTS.keys() | DOES_NOT.keys()


@pytest.mark.parametrize("name", [*COUNTS, *DOES_NOT])
def test_a_stage_is_another_where_a_choice_is_that_counts(name):
    beside = {**EVERYTHING, **WHERE.get(name, {})}
    value = {**COUNTS, **DOES_NOT}[name]
    assert value != {**dict(leaves(Config())), **beside}[name]
    before, after = keys_with(beside), keys_with({**beside, name: value})
    differ = any(one != other for one, other in zip(before, after, strict=False))  # the plan may have fewer stages
    assert differ == (name in COUNTS)


def test_what_a_run_finds_counts(monkeypatch):
    """Each of them changes sums in their last bits."""
    before = key(Config())
    for where, name, found in (
        (torch, "get_num_threads", lambda: 77), (ranks, "own", lambda: (0, 77)), (devices, "hardware", lambda device: {"gpu": "another"}), (torch, "__version__", "77.0"),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(where, name, found)
            assert key(Config()) != before, name
    assert key(Config()) == before


def test_the_code_of_a_backbone_of_one_s_own_counts(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    config = Config(model=dataclasses.replace(Config().model, backbone="mine"))

    def with_code(text):
        space = {}
        file.write_text(text)
        exec(compile(text, file, "exec"), space)
        monkeypatch.setitem(models.BACKBONES, "mine", space["net"])
        return key(config)

    relu = with_code("def net():\n    return 'ReLU'\n")
    assert relu == with_code("def net():\n    return 'ReLU'\n") != with_code("def net():\n    return 'Tanh'\n")


def test_the_code_of_a_score_of_one_s_own_counts_where_it_scores_and_that_of_the_commands_does_not(config, people):
    scoring = dataclasses.replace(config, log=LogConfig(eval_every=1, eval_split="test"))
    ours = kind_of(people).score_during(people, scoring)
    assert key(scoring, score=ours) == key(scoring) != key(scoring, score=lambda network, place: {"mAP": 0.5})
    assert key(config, score=lambda network, place: {"mAP": 0.5}) == key(config)
