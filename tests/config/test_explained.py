"""The parser's messages say what is wrong and what is near."""

import pytest

from reid_srdl import config as configuration
from reid_srdl.commands.eval_options import EvalOptions
from reid_srdl.config import Config
from reid_srdl.errors import UserError


def parse(*argv, **more):
    return configuration.parse(Config, list(argv), **more)


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--plan.epoch", "3"], "plan.epochs"),
        (["--epochs", "3"], "plan.epochs"),
        (["--modle.backbone", "x"], "model.backbone"),
        (["--loss.temprature", "3"], "loss.temperature"),
    ],
)
def test_a_misspelt_key_names_the_near_ones(argv, named):
    with pytest.raises(UserError, match="there is no option") as caught:
        parse(*argv)
    assert named in str(caught.value)


def test_a_misspelt_key_in_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("plan:\n  epochz: 7\n")
    with pytest.raises(UserError, match=r"plan\.epochs"):
        parse("--config", str(file))


def test_a_word_without_an_option_is_named():
    with pytest.raises(UserError, match="the word 'runs/a' belongs to no option"):
        parse("runs/a")


@pytest.mark.parametrize(
    ("kind", "argv", "message"),
    [
        (EvalOptions, ["--metric", "manhattan"], "metric is manhattan. It takes euclidean, cosine or null."),
        (Config, ["--optimiser.name", "adamm"], "optimiser.name is adamm. Did you mean adam? It takes sgd, adam, amsgrad or adamw."),
        (Config, ["--plan.epochs", "two"], "plan.epochs is two. It takes a whole number."),
        (Config, ["--data.train_identities", "1.5"], "data.train_identities is 1.5. It takes a whole number or null."),
        (Config, ["--optimiser.betas", "0.9"], "optimiser.betas is [0.9]. It takes 2 numbers."),
        (Config, ["--schedule.drops", "half"], "schedule.drops is half. It takes numbers."),
        (EvalOptions, ["--flip", "perhaps"], "flip is perhaps. It takes true or false."),
        (Config, ["--metric", "triplet"], "metric is a group of options, not one. Set what is in it, such as metric.name."),
    ],
)
def test_a_value_that_an_option_does_not_take_is_named_with_what_it_takes(kind, argv, message):
    with pytest.raises(UserError) as caught:
        configuration.parse(kind, argv)
    assert str(caught.value) == message


def test_a_value_in_a_file_is_named_as_a_flag_is(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("plan:\n  epochs: [1, 2]\n")
    with pytest.raises(UserError, match=r"plan\.epochs is \[1, 2\]\. It takes a whole number\."):
        parse("--config", str(file))
