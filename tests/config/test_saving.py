import dataclasses

from reid_srdl import config as configuration
from reid_srdl.config import Config


def test_saved_and_loaded(tmp_path):
    config = configuration.parse(Config, ["--plan.epochs", "8", "--plan.second.rate", "0.01", "--schedule.drops", "[0.3, 0.6]", "--output", "x"])
    configuration.save(config, tmp_path / "config.yaml")
    assert configuration.load(tmp_path / "config.yaml") == config
    assert configuration.changed(config, dataclasses.replace(config, seed=3)) == ["seed"]
