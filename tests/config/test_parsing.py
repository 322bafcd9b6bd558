import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config
from reid_srdl.errors import UserError


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


def test_a_recipe_is_read_without_leaving_the_folder(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("---\nseed: 4\n")
    configuration.save(Config(seed=5), tmp_path / "config.yaml")

    def chdir(folder):
        raise AssertionError(f"all threads of this process would be in {folder}")

    monkeypatch.setattr("os.chdir", chdir)
    for words in (["--config", str(tmp_path / "mine.yaml")], [f"--config={tmp_path / 'mine.yaml'}"]):
        assert configuration.parse(Config, words, recipes=True).seed == 4
    assert configuration.load(tmp_path / "config.yaml").seed == 5


def test_a_call_leaves_nothing_behind_for_the_next_one(capsys):
    """The parser is kept from call to call."""
    for words in (["--help"], ["--print_config"], ["--seed", "7", "--dataset", "cifar100"], ["--sead", "7"]):
        with contextlib.suppress(SystemExit, UserError):
            parse(*words, recipes=True)
    capsys.readouterr()
    assert parse() == Config() and parse("--seed", "3") == Config(seed=3) and capsys.readouterr().out == ""


def test_threads_may_read_configurations_at_once():
    with ThreadPoolExecutor(4) as pool:
        assert [made.seed for made in pool.map(lambda seed: parse("--seed", str(seed)), range(20))] == list(range(20))


def test_print_config_is_a_recipe(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--plan.epochs", "8", "--print_config")
    assert stopped.value.code == 0
    (tmp_path / "out.yaml").write_text(capsys.readouterr().out)
    assert parse("--config", str(tmp_path / "out.yaml")) == parse("--plan.epochs", "8")


def test_the_help_says_whose_defaults_it_shows(capsys):
    with pytest.raises(SystemExit):
        parse("--dataset", "cifar100", "--help", prog="train", recipes=True)
    text = capsys.readouterr().out
    assert text.startswith("usage: reid-srdl train [options]\n")
    assert "Defaults below are those of the recipe cifar100." in text and "default: 200)" in " ".join(text.split())
    with pytest.raises(SystemExit):
        parse("--dataset", "cifar100", "--config", "market1501_mobilenet_v2_cpu", "--help", prog="train", recipes=True)
    named = " ".join(capsys.readouterr().out.split())
    assert "the recipe cifar100 and then the recipe market1501_mobilenet_v2_cpu." in named
    assert "default: mobilenet_v2)" in named and "default: 40)" in named
    assert "Path to a configuration file" not in text and "config file locations" not in text and ".yaml" not in text


@pytest.mark.parametrize("text", ["model: {weights: null}", "data: {height: null}", "plan: {epochs: null}", "plan: {name: null}", "optimiser: {betas: null}", "seed: null", "dataset: null"])
def test_null_is_refused_where_a_value_has_to_be(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(UserError, match="is null, and has to have a value"):
        parse("--config", str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("word", ["#secret", "&name", "~", "#1 of 2"])
def test_a_text_that_is_nothing_to_yaml_is_a_text(word):
    assert parse("--output", word).output == word
    assert parse(f"--output={word}").output == word
    assert parse("--output", word, "--output", "null").output is None


@pytest.mark.parametrize("word", ["#secret", "&name", "~", "null"])
def test_a_text_that_is_quoted_in_a_recipe_is_a_text(tmp_path, word):
    (tmp_path / "mine.yaml").write_text(f"output: '{word}'\nplan: {{teacher: {{checkpoint: '{word}'}}}}\n")
    found = parse("--config", str(tmp_path / "mine.yaml"))
    assert found.output == found.plan.teacher.checkpoint == word
    (tmp_path / "later.yaml").write_text("output: null\n")
    assert parse("--config", str(tmp_path / "mine.yaml"), "--config", str(tmp_path / "later.yaml")).output is None
    configuration.save(found, tmp_path / "config.yaml")
    assert configuration.load(tmp_path / "config.yaml") == found


def test_the_help_says_which_numbers_an_option_may_be(capsys):
    with pytest.raises(SystemExit):
        parse("--help", prog="train")
    said = " ".join(capsys.readouterr().out.split())
    for words in ("width in pixels. [above 0, 8,192 at most] (type: int", "probability of a horizontal flip. [0 to 1] (type: float", "base learning rate. [above 0]"):
        assert words in said
