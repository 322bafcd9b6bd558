import pytest
import torch

from reid_srdl import config as configuration
from reid_srdl import files, runs
from reid_srdl.config import ModelConfig
from reid_srdl.errors import UserError


def fabricated(folder, config, finished, network, labels):
    configuration.save(config, folder / runs.CONFIG)
    stages = [{"folder": "1-first"}, {"folder": "2-second"}]
    files.write_json(folder / runs.FACTS, {"stages": stages})
    for stage in stages[:finished]:
        runs.save_model(folder / "stages" / stage["folder"] / runs.MODEL, network, ModelConfig("small", "none"), (32, 16), labels)
        with torch.no_grad():
            network.classifier.bias += 1


def test_a_run_is_its_last_stage(tmp_path, config, network, labels, monkeypatch):
    fabricated(tmp_path / "run", config, 2, network, labels)
    loaded = runs.load(tmp_path / "run")
    assert loaded.model_hash == runs.read_model(tmp_path / "run/stages/2-second/model.safetensors").hash
    assert loaded.folder == tmp_path / "run" and loaded.config.plan.epochs == 5
    assert runs.load(tmp_path / "run/stages/1-first").model_hash != loaded.model_hash
    assert runs.load(tmp_path / "run/stages/1-first").folder == tmp_path / "run"
    for inside, path in (("stages", "2-second"), ("stages/2-second", "model.safetensors"), (".", ".")):
        monkeypatch.chdir(tmp_path / "run" / inside)
        assert runs.load(path).folder.resolve() == tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    assert str(runs.load("run/stages/1-first").folder) == "run"  # in the words of whoever named it
    (tmp_path / "run/stages/backup-1-first").mkdir()
    (tmp_path / "run/stages/backup-1-first/model.safetensors").write_bytes(b"")
    assert [folder.name for folder in runs.finished_stages(tmp_path / "run")] == ["1-first", "2-second"]


def test_a_run_may_be_called_as_exported_files_are(tmp_path, config, network, labels):
    fabricated(tmp_path / "mine.onnx", config, 2, network, labels)
    assert runs.load(tmp_path / "mine.onnx").folder == tmp_path / "mine.onnx"


def test_an_unfinished_run_says_how_to_go_on(tmp_path, config, network, labels):
    fabricated(tmp_path / "run", config, 1, network, labels)
    with pytest.raises(UserError, match=r"Its finished stage can be used as .*1-first\. Go on .*--resume .*run$"):
        runs.load(tmp_path / "run")


@pytest.mark.parametrize("facts", [[], {}, {"stages": []}, {"stages": {}}, {"stages": [{"name": "first"}]}])
def test_facts_that_no_run_wrote_are_named(tmp_path, facts):
    files.write_json(tmp_path / "run.json", facts)
    with pytest.raises(UserError, match="run.json is not of a run"):
        runs.load(tmp_path)
