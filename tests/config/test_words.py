"""What people write becomes what the parser takes."""

import pytest

from reid_srdl import config as configuration
from reid_srdl.commands.calibrate import CalibrateOptions
from reid_srdl.commands.embed import EmbedOptions
from reid_srdl.commands.eval_options import EvalOptions
from reid_srdl.commands.index import IndexOptions
from reid_srdl.config import Config, words
from reid_srdl.errors import UserError
from reid_srdl.models.exported import InputOptions


def parse(*argv, **more):
    return configuration.parse(Config, list(argv), **more)


def test_dashes_and_underscores_are_the_same():
    assert parse("--data-root", "x").data_root == parse("--data_root=x").data_root == "x"


def test_short_names():
    assert parse("--eval-every", "5").log.eval_every == parse("--log.eval_every=5").log.eval_every == 5


def test_a_home_is_found_behind_an_equals_sign_where_shells_leave_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/one")
    assert parse("--output=~/runs").output == "/home/one/runs"
    assert configuration.parse(EvalOptions, ["--checkpoint=~/runs/demo", "--members=~/a", "b"]).members == ("/home/one/a", "b")
    assert parse("--output=a~/b").output == "a~/b" and parse("--output=~nobody-here/b").output == "~nobody-here/b"


def test_a_bare_switch_is_true():
    config = parse("--skip-corrupt", "--compile", "--seed", "3")
    assert config.data.skip_corrupt and config.compile and config.seed == 3
    assert not parse("--log.tensorboard", "false").log.tensorboard


def test_a_flag_wins_over_a_recipe_wherever_it_stands():
    for argv in (["--data.batch", "16", "--config", "market1501_osnet_x0_25_cpu"], ["--config=market1501_osnet_x0_25_cpu", "--data.batch", "16"]):
        config = configuration.parse(Config, argv, recipes=True)
        assert (config.data.batch, config.plan.epochs) == (16, 40)


def test_the_last_data_set_brings_its_recipe():
    config = configuration.parse(Config, ["--dataset", "market1501", "--dataset=cifar10"], recipes=True)
    assert config == configuration.parse(Config, ["--dataset", "cifar10"], recipes=True)


@pytest.mark.parametrize(
    "words",
    [
        ["--input.size", "256", "128", "--input.mean", "0.5", "-0.4", "0", "--flip"],
        ["--flip", "--input.size=[256,128]", "--input.mean=0.5", "-0.4", "0"],
        ["--input.mean", "[0.5,-0.4,0]", "--input.size=256,128", "--flip"],
        ["--input.size", "1", "1", "--input.mean", "[0.5,", "-0.4,", "0]", "--flip", "--input.size", "256", "128"],
    ],
)
def test_a_list_of_numbers_may_stand_as_words(words):
    options = configuration.parse(EmbedOptions, words)
    assert options.input == InputOptions((256, 128), (0.5, -0.4, 0.0)) and options.flip


@pytest.mark.parametrize("words", [["--members", "runs/a, b", "007", "--flip"], ["--flip", "--members=runs/a, b", "007"], ["--members", '["runs/a, b", "007"]', "--flip"]])
def test_a_list_of_words_may_stand_as_words(words):
    options = configuration.parse(EvalOptions, words)
    assert options.members == ("runs/a, b", "007") and options.flip


def test_words_in_a_list_are_names_of_files_whatever_their_bytes():
    odd = ("\x7f\x85\ufffe", "é \U0001f600\n", '\\u"')
    assert configuration.parse(EvalOptions, ["--embeddings", *odd]).embeddings == odd
    with pytest.raises(UserError, match=r"the name 'a\\udcff.npz' is not UTF-8.*Rename the file"):
        configuration.parse(EvalOptions, ["--embeddings", "b.npz", "a\udcff.npz"])


def test_a_list_may_be_empty_or_none_and_other_words_stay():
    assert configuration.parse(EvalOptions, ["--members"]).members == () and configuration.parse(EvalOptions, ["--members", "null"]).members is None
    assert configuration.parse(Config, ["--schedule.drops", "0.25", "0.5"], "train").schedule.drops == (0.25, 0.5)
    with pytest.raises(UserError, match="more"):
        configuration.parse(EmbedOptions, ["--images", "a", "more"])


def test_values_are_no_flags_whatever_they_end_with():
    options = configuration.parse(EvalOptions, ["--checkpoint", "x/members", "--output", "./embeddings"], "eval")
    assert (options.checkpoint, options.output, options.members, options.embeddings) == ("x/members", "./embeddings", None, None)
    options = configuration.parse(EvalOptions, ["--output", "./flip", "--embeddings", "\U0001f600.npz", "[1].npz", "--rerank"], "eval")
    assert options.output == "./flip" and not options.flip and options.rerank and options.embeddings == ("\U0001f600.npz", "[1].npz")
    assert configuration.parse(EvalOptions, ["--members", "[1].npz"], "eval").members == ("[1].npz",)
    assert configuration.parse(CalibrateOptions, ["--across_cameras"], "calibrate").across_cameras is True


def test_a_word_like_a_day_that_there_is_not_is_a_word():
    assert words.arranged(["--delete", "2024-02-30"], IndexOptions) == ['--delete=["2024-02-30"]']
