import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config, OptimiserConfig
from reid_srdl.errors import UserError


@pytest.mark.parametrize(
    "argv",
    [["--plan.epochs", "many"], ["--data.sampler", "best"], ["--augment.flip", "1.5"], ["--data.batch", "0"], ["--schedule.drops", "[0.5, 2]"],
     ["--data.sampler", "identity", "--data.batch", "30"], ["--data.train_per_class", "0"], ["--data.holdout_per_class", "-1"], ["--data.crop", "centre"]],
)  # fmt: skip
def test_values_that_no_run_can_have(argv):
    with pytest.raises(UserError) as caught:
        configuration.parse(Config, argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "said"),
    [(["--metric.name", "triplet"], "sampler identity"), (["--metric.name", "circle", "--data.sampler", "identity", "--data.instances", "1"], "instances"),
     (["--metric.name", "triplet", "--data.sampler", "identity", "--optimiser.accumulate", "8"], "32 in 8 parts"),
     (["--metric.name", "triplet", "--data.sampler", "identity", "--metric.scale", "3"], "metric.scale"), (["--metric.weight", "0"], "above 0"),
     (["--loss.cross_entropy", "0"], "no metric term"), (["--ema.decay", "1"], "below 1"), (["--ema.decay", "-0.1"], "between 0 and 1"),
     (["--reference.views", "3", "--data.crop", "imagenet"], "centre of the image again"), (["--reference.weights", "ema"], "ema.decay"), (["--optimiser.betas", "0.9", "1"], "below 1"), (["--optimiser.betas", "0.9"], "betas"),
     (["--optimiser.clip", "0"], "above 0"), (["--optimiser.accumulate", "0"], "above 0"), (["--optimiser.accumulate", "33"], "It must be 32 at most, data.batch"),
     (["--plan.epochs", "1000001"], "1,000,000 at most"), (["--data.height", "10000"], "8,192 at most"), (["--reference.views", "1001"], "1,000 at most"), (["--optimiser.backbone_rate", "0"], "above 0"),
     (["--optimiser.frozen_epochs", "-1"], "below 0"), (["--optimiser.name", "lion"], "lion"), (["--schedule.name", "exponential"], "exponential"),
     (["--threads", "2147483648"], "threads is 2,147,483,648. It must be 4,096 at most"), (["--schedule.warmup_from", "2"], "between 0 and 1"), (["--schedule.final", "1.5"], "between 0 and 1")],
)  # fmt: skip
def test_what_a_strong_recipe_cannot_have(argv, said):
    with pytest.raises(UserError) as caught:
        configuration.parse(Config, argv)
    assert "\n" not in str(caught.value) and said in str(caught.value)


def test_parts_may_cut_a_batch_where_people_stay_whole():
    argv = ["--metric.name", "triplet", "--data.sampler", "identity", "--data.batch", "32", "--optimiser.accumulate", "4"]
    assert configuration.parse(Config, argv).optimiser.accumulate == 4
    assert configuration.parse(Config, ["--metric.name", "arcface", "--data.batch", "30", "--optimiser.accumulate", "7"]).metric.name == "arcface"


@pytest.mark.parametrize(("flag", "value"), [("schedule.factor", "-1"), ("schedule.factor", "0"), ("optimiser.momentum", "5"), ("optimiser.momentum", "1")])
def test_what_would_train_uphill_is_refused(flag, value):
    with pytest.raises(UserError, match=flag):
        configuration.parse(Config, [f"--{flag}", value])


@pytest.mark.parametrize(("flag", "value"), [("optimiser.rate", ".inf"), ("plan.first.rate", ".inf"), ("metric.margin", ".inf"), ("loss.imitation", ".nan"), ("schedule.drops", "[0.5, .nan]")])
def test_numbers_are_finite(flag, value):
    with pytest.raises(UserError, match=rf"{flag}(\[1\])? is (inf|nan). It must be a finite number"):
        configuration.parse(Config, [f"--{flag}", value])


def test_a_configuration_made_in_python_is_checked_as_one_that_is_read():
    with pytest.raises(UserError, match="optimiser.name is rmsprop. It takes sgd, adam, amsgrad or adamw."):
        configuration.check(Config(optimiser=OptimiserConfig(name="rmsprop")))
    configuration.check(Config())


@pytest.mark.parametrize("flag", ["data_root", "output", "model.weights"])
def test_names_that_a_run_could_not_be_read_again_with_are_refused(flag):
    with pytest.raises(UserError, match=rf"{flag} is 'caf\\udce9', which is no text in UTF-8. Give it another name"):
        configuration.parse(Config, [f"--{flag}", b"caf\xe9".decode("utf-8", "surrogateescape")])
    configuration.parse(Config, [f"--{flag}", "café"])
