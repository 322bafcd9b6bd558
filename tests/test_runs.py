import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reid_srdl import config as configuration
from reid_srdl import runs
from reid_srdl.config import ModelConfig
from reid_srdl.data import images
from reid_srdl.errors import UserError
from reid_srdl.models import build

LABELS = np.array([3, 5, 9])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("small", 3).eval()


@pytest.fixture
def saved(network, tmp_path):
    runs.save_model(tmp_path / "model.safetensors", network, ModelConfig("small", "none"), (32, 16), LABELS)
    return tmp_path / "model.safetensors"


def test_a_bare_file_embeds(saved, network, people):
    trained = runs.load(saved, "cpu")
    assert trained.labels.tolist() == [3, 5, 9] and trained.size == (32, 16) and trained.dimension == 16
    files = people.query.files
    vectors = trained.embed(files)
    assert vectors.shape == (len(files), 16) and vectors.dtype == np.float32
    assert np.allclose(trained.embed(files[::-1], batch=5), vectors[::-1], atol=1e-6)
    assert np.allclose(trained.embed(files[:1]), vectors[:1], atol=1e-6)


def test_somebody_else_s_config_beside_a_bare_file_is_not_read(saved, tmp_path):
    (tmp_path / "config.yaml").write_text("server: {port: 80}\n")
    assert runs.load(saved, "cpu").config is None


def test_a_recipe_beside_a_bare_file_is_no_run_s(saved, tmp_path, config):
    configuration.save(dataclasses.replace(config, distance="cosine"), tmp_path / "config.yaml")
    assert runs.load(saved, "cpu").config is None and runs.load(saved, "cpu").distance == "euclidean"


def test_flip_is_the_mean_of_both_and_blind_to_mirroring(saved, people, tmp_path):
    import cv2

    trained = runs.load(saved, "cpu")
    file = people.query.files[0]
    cv2.imwrite(str(tmp_path / "mirror.png"), cv2.imread(str(file))[:, ::-1])
    one, other = trained.embed([file]), trained.embed([tmp_path / "mirror.png"])
    both = trained.embed([file], flip=True)
    assert np.allclose(both, (one + other) / 2, atol=1e-6) and not np.allclose(one, other, atol=1e-4)
    assert np.allclose(both, trained.embed([tmp_path / "mirror.png"], flip=True), atol=1e-6)


def test_embeddings_leave_junk_out(saved, people):
    labels = people.gallery.labels.copy()
    labels[3] = -1
    found = runs.load(saved, "cpu").embeddings(dataclasses.replace(people.gallery, labels=labels))
    assert len(found) == len(labels) - 1 and people.gallery.paths[3] not in found.paths
    assert found.model == runs.read_model(saved).hash


def test_the_hash_is_of_the_weights(saved, network, tmp_path):
    runs.save_model(tmp_path / "again.safetensors", network.to(memory_format=torch.channels_last), ModelConfig("small", "none"), (32, 16), LABELS)
    assert runs.read_model(tmp_path / "again.safetensors").hash == runs.read_model(saved).hash
    with torch.no_grad():
        network.classifier.bias[0] += 1
    assert runs.save_model(tmp_path / "other.safetensors", network, ModelConfig("small", "none"), (32, 16), LABELS) != runs.read_model(saved).hash


def test_bad_checkpoints_say_what_they_are(saved, tmp_path):
    data = saved.read_bytes()
    cases = {
        "truncated": (data[:-20], "not a whole safetensors file"),
        "flipped": (data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "checksum does not fit"),
        "empty": (b"", "not a whole safetensors file"),
    }
    cases["another label"] = (data.replace(b"[3, 5, 9]", b"[3, 5, 8]"), "checksum does not fit")
    assert cases["another label"][0] != data
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            runs.load(tmp_path / name)
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(UserError, match=r"--model\.weights"):
        runs.load(tmp_path / "foreign")
    with pytest.raises(UserError, match="no checkpoint"):
        runs.load(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="no run folder"):
        runs.load(tmp_path / "folder")


def test_weights_of_another_architecture(saved, tmp_path):
    state = load_file(saved)
    metadata = {
        "format": "reid_srdl model 1", "model": json.dumps(dataclasses.asdict(ModelConfig("small_without_norm", "none"))), "size": "[32, 16]",
        "labels": "[1, 2, 3]", "sha256": runs.state_hash(state),
    }  # fmt: skip
    save_file(state, tmp_path / "other", metadata=metadata)
    with pytest.raises(UserError, match="do not fit a small_without_norm"):
        runs.load(tmp_path / "other")


def fabricated(folder, config, finished, network):
    configuration.save(config, folder / runs.CONFIG)
    stages = [{"folder": "1-first"}, {"folder": "2-second"}]
    runs.files.write_json(folder / runs.FACTS, {"stages": stages})
    for stage in stages[:finished]:
        runs.save_model(folder / "stages" / stage["folder"] / runs.MODEL, network, ModelConfig("small", "none"), (32, 16), LABELS)
        with torch.no_grad():
            network.classifier.bias += 1


def test_a_run_is_its_last_stage(tmp_path, config, network, monkeypatch):
    fabricated(tmp_path / "run", config, 2, network)
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


def test_an_unfinished_run_says_how_to_go_on(tmp_path, config, network):
    fabricated(tmp_path / "run", config, 1, network)
    with pytest.raises(UserError, match=r"Its finished stage can be used as .*1-first\. Go on .*--resume .*run$"):
        runs.load(tmp_path / "run")


def test_a_model_carries_its_crop_and_sees_images_by_it(saved, network, people, tmp_path):
    assert runs.read_model(saved).crop == runs.load(saved, "cpu").crop == "none"
    file = tmp_path / "crop.safetensors"
    runs.save_model(file, network, ModelConfig("small", "none"), (32, 16), LABELS, "imagenet")
    trained, whole = runs.load(file, "cpu"), runs.load(saved, "cpu")
    assert trained.crop == "imagenet" and trained.model_hash == whole.model_hash
    files = people.query.files[:3]
    assert not np.allclose(trained.embed(files), whole.embed(files), atol=1e-4)
    memory, stream = trained.source(files, memory_gb=1), trained.source(files)
    assert type(memory) is not type(stream) and torch.equal(memory.batch([2, 0]), stream.batch([2, 0]))
    expected = images.open_source(files, (32, 16), crop="imagenet")
    assert torch.equal(stream.batch([1]), expected.batch([1]))


def test_whole_images_leave_the_file_as_it_was(saved):
    with safe_open(saved, "pt") as opened:
        assert sorted(opened.metadata()) == ["facts", "format", "labels", "model", "sha256", "size"]


def test_crops_of_another_version_are_refused(saved, tmp_path):
    with safe_open(saved, "pt") as opened:
        metadata = opened.metadata()
    del metadata["facts"]
    save_file(load_file(saved), tmp_path / "new", metadata={**metadata, "crop": "spiral"})
    with pytest.raises(UserError, match="crops that this version does not know"):
        runs.load(tmp_path / "new")


def test_networks_of_timm_from_before_their_own_pixels_are_refused(tmp_path, monkeypatch):
    """Their images were normalised by ImageNet's mean and deviation, whatever the weights had been trained on."""
    pytest.importorskip("timm")
    name = "timm:vit_tiny_patch16_224"
    network = build(name, 3, image_size=(32, 16))
    runs.save_model(tmp_path / "new", network, ModelConfig(name, "none"), (32, 16), LABELS)
    assert runs.read_model(tmp_path / "new").model.backbone == name
    monkeypatch.setattr(runs, "_OF_TIMM", "none of them")
    runs.save_model(tmp_path / "old", network, ModelConfig(name, "none"), (32, 16), LABELS)
    monkeypatch.undo()
    with pytest.raises(UserError, match="of a version that normalised the images of timm:vit_tiny_patch16_224 otherwise"):
        runs.read_model(tmp_path / "old")
