import dataclasses
from pathlib import Path

import pytest

from reid_srdl import config as configuration
from reid_srdl.config import Config


def test_saved_and_loaded(tmp_path):
    config = configuration.parse(Config, ["--plan.epochs", "8", "--plan.second.rate", "0.01", "--schedule.drops", "[0.3, 0.6]", "--output", "x"])
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(tmp_path / "config.yaml") == config
    assert configuration.changed(config, dataclasses.replace(config, seed=3)) == ["seed"]


@pytest.mark.parametrize("word", ["1e-3", "1E3", "1.5e3", "-1e-3", "0x10", "true", "no", "a: b", "a #b", "it's", "[a]", "12:30:00", "runs/\u00fc \U0001f600", ".5", "", "a\nb"])
def test_a_word_stays_one_whatever_it_looks_like(tmp_path, word):
    """A run is named by its rate in many a sweep."""
    config = dataclasses.replace(Config(), output=word)
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(tmp_path / "config.yaml").output == word


@pytest.mark.parametrize("name", ["-x", "~"])
def test_a_folder_may_be_called_like_a_flag_or_a_home(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    configuration.save(Config(seed=3), Path(name) / "config.yaml")
    assert configuration.load(Path(name) / "config.yaml").seed == 3
