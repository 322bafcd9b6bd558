"""``idle``: choices that a run has no use for."""

import dataclasses

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.config.recipes import recipe_names
from reid_srdl.errors import UserError
from reid_srdl.training import plans
from reid_srdl.training.idle import idle


def of(*words):
    return idle(configuration.parse(Config, [*words], "train", recipes=True))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--metric.margin", "0.3"], "metric.margin (metric.name is none)"),
        (["--plan.name", "vanilla", "--reference.top_k", "5"], "reference.top_k (plan vanilla imitates nobody)"),
        (["--plan.name", "continued", "--loss.temperature", "4"], "loss.temperature (plan continued imitates nobody)"),
        (["--plan.name", "vanilla", "--plan.second.scale", "0.25"], "plan.second.scale (plan vanilla does not ask for it here)"),
        (["--plan.generations", "4"], "plan.generations (plan.name is not born_again)"),
        (["--plan.teacher.epochs", "4"], "plan.teacher.epochs (plan.name is not kd)"),
        (["--data.instances", "8"], "data.instances (data.sampler is random)"),
        (["--ema.use", "false"], "ema.use (ema.decay is 0)"),
        (["--schedule.final", "0.1"], "schedule.final (schedule.name is steps)"),
        (["--schedule.name", "cosine", "--schedule.drops", "0.3"], "schedule.drops (schedule.name is cosine)"),
        (["--schedule.warmup_from", "0.2"], "schedule.warmup_from (schedule.warmup_epochs is 0)"),
        (["--optimiser.name", "adam", "--optimiser.momentum", "0.8"], "optimiser.momentum (optimiser.name is adam)"),
        (["--optimiser.name", "adamw", "--optimiser.nesterov", "false"], "optimiser.nesterov (optimiser.name is adamw)"),
        (["--optimiser.betas", "0.8", "0.9"], "optimiser.betas (optimiser.name is sgd)"),
        (["--plan.epochs", "4", "--log.eval_every", "5"], "log.eval_every (no stage has so many epochs)"),
        (["--log.eval_split", "test"], "log.eval_split (log.eval_every is 0)"),
        (["--augment.pad", "0", "--augment.pad_mode", "zeros"], "augment.pad_mode (augment.pad is 0)"),
    ],
)
def test_what_changes_nothing_is_named_with_the_reason(words, told):
    assert of(*words) == [told]


def test_what_is_used_is_no_matter():
    assert of("--metric.name", "triplet", "--metric.margin", "0.3", "--data.sampler", "identity", "--data.instances", "8") == []
    assert of("--plan.epochs", "4", "--log.eval_every", "2", "--plan.second.epochs", "1") == []
    assert of("--plan.name", "no_restart", "--reference.flip", "true", "--loss.temperature", "4", "--plan.second.scale", "0.25") == []
    assert of("--plan.name", "born_again", "--plan.generations", "4", "--ema.decay", "0.9", "--ema.use", "false", "--schedule.name", "cosine", "--schedule.final", "0.1") == []


CHOICES = {
    "generations": 4, **{f"{stage}.{name}": value for stage in ("first", "second") for name, value in {"epochs": 8, "rate": 0.3, "label_smoothing": 0.2, "scale": 0.25}.items()},
    "teacher.checkpoint": "another", "teacher.backbone": "resnet18", "teacher.weights": "none", "teacher.epochs": 8,
}  # fmt: skip
"""Of a plan, beside its name and length."""
WANTS = {
    "early_stopped": ["--log.eval_every", "1", "--data.holdout_per_class", "1"],
    "kd from a checkpoint": ["--plan.teacher.checkpoint", "one"],
}  # fmt: skip


def changed(group, name, value):
    first, _, rest = name.partition(".")
    return dataclasses.replace(group, **{first: changed(getattr(group, first), rest, value) if rest else value})


@pytest.mark.parametrize("plan", [*plans.PLANS, "kd from a checkpoint"])
def test_of_a_plan_those_choices_are_named_that_make_no_other_stages(plan):
    config = configuration.parse(Config, ["--plan.name", plan.split()[0], "--plan.epochs", "20", *WANTS.get(plan, [])], "train")
    for name, value in CHOICES.items():
        other = changed(config, f"plan.{name}", value)
        try:
            stages = plans.build(other)
        except UserError:  # it is looked at, and refused
            continue
        assert any(told.startswith(f"plan.{name} (") for told in idle(other)) == (stages == plans.build(config)), name


def test_what_a_teacher_that_is_there_has_no_use_for_is_named():
    words = ["--plan.name", "kd", "--plan.teacher.checkpoint", "x", "--plan.second.rate", "0.01", "--plan.first.rate", "0.3", "--plan.teacher.epochs", "5"]
    assert of(*words) == ["plan.first.rate (plan kd does not ask for it here)", "plan.teacher.epochs (plan kd does not ask for it here)"]


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize("plan", ["srdl", "vanilla"])
def test_no_recipe_says_what_is_idle(recipe, plan):
    assert of("--config", recipe, "--plan.name", plan) == []
