import pytest

from reid_srdl import config as configuration
from reid_srdl.commands.calibrate import CalibrateOptions
from reid_srdl.commands.embed import EmbedOptions
from reid_srdl.commands.eval_options import EvalOptions
from reid_srdl.config import Config
from reid_srdl.errors import UserError
from reid_srdl.models.exported import InputOptions


def parse(*argv, **more):
    return configuration.parse(Config, list(argv), **more)


def test_the_paper_is_the_default():
    config = parse("--dataset", "market1501", recipes=True)
    assert (config.plan.name, config.plan.epochs, config.data.batch) == ("srdl", 120, 32)
    assert (config.optimiser.rate, config.optimiser.momentum, config.optimiser.nesterov, config.optimiser.weight_decay) == (0.1, 0.9, True, 2e-4)
    assert config.schedule.drops == (0.5, 0.75) and config.schedule.factor == 0.1
    assert config.loss.temperature == 3 and config.loss.imitation is None
    assert (config.model.backbone, config.size) == ("resnet50", (256, 128))


def test_later_ones_win(tmp_path):
    """Defaults < configs/DATASET.yaml < --config < flags."""
    file = tmp_path / "mine.yaml"
    file.write_text("dataset: synthetic\nplan:\n  epochs: 7\nseed: 5\n")
    assert parse(recipes=True).plan.epochs == 20  # configs/synthetic.yaml over the default 120
    config = parse("--config", str(file), recipes=True)
    assert (config.plan.epochs, config.seed, config.model.weights) == (7, 5, "none")
    config = parse("--config", str(file), "--plan.epochs", "9", recipes=True)
    assert (config.plan.epochs, config.seed) == (9, 5)


def test_a_recipe_is_found_by_name_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("--config", "configs/market1501_osnet_x0_25_cpu.yaml", recipes=True).data.batch == 64
    with pytest.raises(UserError, match="market1501_osnet_x0_25_cpu"):
        parse("--config", "market1501_osnet_cpu", recipes=True)


def test_dashes_and_underscores_are_the_same():
    assert parse("--data-root", "x").data_root == parse("--data_root=x").data_root == "x"


def test_short_names():
    assert parse("--eval-every", "5").log.eval_every == parse("--log.eval_every=5").log.eval_every == 5


def test_a_bare_switch_is_true():
    config = parse("--skip-corrupt", "--compile", "--seed", "3")
    assert config.data.skip_corrupt and config.compile and config.seed == 3
    assert not parse("--log.tensorboard", "false").log.tensorboard


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


def test_print_config_is_a_recipe(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--plan.epochs", "8", "--print_config")
    assert stopped.value.code == 0
    (tmp_path / "out.yaml").write_text(capsys.readouterr().out)
    assert parse("--config", str(tmp_path / "out.yaml")) == parse("--plan.epochs", "8")


def test_every_recipe_is_valid():
    names = configuration.recipe_names()
    assert "market1501" in names
    for name in names:
        parse("--config", name, recipes=True)


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


def test_a_list_may_be_empty_or_none_and_other_words_stay():
    assert configuration.parse(EvalOptions, ["--members"]).members == () and configuration.parse(EvalOptions, ["--members", "null"]).members is None
    assert configuration.parse(Config, ["--schedule.drops", "0.25", "0.5"], "train").schedule.drops == (0.25, 0.5)
    with pytest.raises(UserError, match="more"):
        configuration.parse(EmbedOptions, ["--images", "a", "more"])


def test_the_help_says_whose_defaults_it_shows(capsys):
    with pytest.raises(SystemExit):
        parse("--dataset", "cifar100", "--help", prog="train", recipes=True)
    text = capsys.readouterr().out
    assert text.startswith("usage: reid-srdl train [options]\n")
    assert "Defaults below are those of the recipe cifar100." in text and "default: 200)" in " ".join(text.split())
    assert "Path to a configuration file" not in text and "config file locations" not in text and ".yaml" not in text


def test_a_wrong_path_is_no_installed_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("nowhere/cifar10.yaml", "mine/demo.yml", "demo.yml"):
        with pytest.raises(UserError, match="there is no recipe"):
            parse("--config", path)
    assert parse("--config", "cifar10").dataset == parse("--config", "configs/cifar10.yaml").dataset == "cifar10"


def test_values_are_no_flags_whatever_they_end_with():
    options = configuration.parse(EvalOptions, ["--checkpoint", "x/members", "--output", "./embeddings"], "eval")
    assert (options.checkpoint, options.output, options.members, options.embeddings) == ("x/members", "./embeddings", None, None)
    options = configuration.parse(EvalOptions, ["--output", "./flip", "--embeddings", "\U0001f600.npz", "[1].npz", "--rerank"], "eval")
    assert options.output == "./flip" and not options.flip and options.rerank and options.embeddings == ("\U0001f600.npz", "[1].npz")
    assert configuration.parse(EvalOptions, ["--members", "[1].npz"], "eval").members == ("[1].npz",)
    assert configuration.parse(CalibrateOptions, ["--across_cameras"], "calibrate").across_cameras is True


@pytest.mark.parametrize("text", ["model: {weights: null}", "data: {height: null}", "plan: {epochs: null}", "plan: {name: null}", "optimiser: {betas: null}", "seed: null", "dataset: null"])
def test_null_is_refused_where_a_value_has_to_be(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match="is null, and has to have a value"):
        parse("--config", str(tmp_path / "mine.yaml"))


def test_an_empty_recipe_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("# nothing yet\n")
    with pytest.raises(UserError, match="mine.yaml is empty"):
        parse("--config", str(tmp_path / "mine.yaml"))


def test_a_word_without_an_option_is_named():
    with pytest.raises(UserError, match="the word 'runs/a' belongs to no option"):
        parse("runs/a")


@pytest.mark.parametrize(("flag", "value"), [("schedule.factor", "-1"), ("schedule.factor", "0"), ("optimiser.momentum", "5"), ("optimiser.momentum", "1")])
def test_what_would_train_uphill_is_refused(flag, value):
    with pytest.raises(UserError, match=flag):
        parse(f"--{flag}", value)
