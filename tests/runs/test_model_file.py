import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from reid_srdl import runs
from reid_srdl.config import ModelConfig
from reid_srdl.errors import UserError
from reid_srdl.models import BACKBONES, build


def test_the_hash_is_of_the_weights(saved, network, tmp_path, labels):
    runs.save_model(tmp_path / "again.safetensors", network.to(memory_format=torch.channels_last), ModelConfig("small", "none"), (32, 16), labels)
    assert runs.read_model(tmp_path / "again.safetensors").hash == runs.read_model(saved).hash
    with torch.no_grad():
        network.classifier.bias[0] += 1
    assert runs.save_model(tmp_path / "other.safetensors", network, ModelConfig("small", "none"), (32, 16), labels) != runs.read_model(saved).hash


def test_the_hash_is_of_how_the_weights_are_used_too(network, tmp_path, labels):
    """The same weights see something else at another size, and are another network to embeddings, calibrations and soft targets."""
    known = runs.save_model(tmp_path / "a", network, ModelConfig("small", "none"), (32, 16), labels)
    others = [
        runs.save_model(tmp_path / "b", network, ModelConfig("small", "none"), (64, 16), labels),
        runs.save_model(tmp_path / "b", network, ModelConfig("small", "none"), (32, 16), labels, crop="imagenet"),
        runs.save_model(tmp_path / "b", network, ModelConfig("small", "none", pooling="max"), (32, 16), labels),
    ]
    assert len({known, *others}) == 4
    assert known == runs.save_model(tmp_path / "b", network, ModelConfig("small", "imagenet"), (32, 16), labels) == runs.read_model(tmp_path / "b").hash


def test_tied_weights_come_back_to_the_same_bits(tmp_path, labels, monkeypatch):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Conv2d(3, 3, 3)
            self.other, self.dimension = torch.nn.Conv2d(3, 3, 3), 3
            self.other.weight = self.one.weight

        def forward(self, images):
            return self.other(self.one(images))

    monkeypatch.setitem(BACKBONES, "tied", Tied)
    network = build("tied", 3, weights="none").eval()
    made = runs.save_model(tmp_path / "tied.safetensors", network, ModelConfig("tied", "none"), (32, 16), labels)
    loaded = runs.load(tmp_path / "tied.safetensors").network
    assert loaded.backbone.other.weight is loaded.backbone.one.weight
    assert runs.state_hash(loaded.state_dict()) == runs.state_hash(network.state_dict()) and runs.read_model(tmp_path / "tied.safetensors").hash == made


def test_names_of_classes_come_back_and_files_without_them_are_read(saved, network, tmp_path, labels):
    runs.save_model(tmp_path / "named.safetensors", network, ModelConfig("small", "none"), (32, 16), labels, names=["Ärmel", "b", "c"])
    assert runs.read_model(tmp_path / "named.safetensors").names == runs.load(tmp_path / "named.safetensors").names == ("Ärmel", "b", "c")
    assert runs.read_model(saved).names is None


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


def test_weights_of_another_architecture(network, tmp_path, labels):
    runs.save_model(tmp_path / "other", network, ModelConfig("small_without_norm", "none"), (32, 16), labels)
    with pytest.raises(UserError, match="do not fit a small_without_norm"):
        runs.load(tmp_path / "other")


def test_whole_images_leave_the_file_as_it_was(saved):
    with safe_open(saved, "pt") as opened:
        assert sorted(opened.metadata()) == ["facts", "format", "labels", "model", "sha256", "size"]


def test_crops_of_another_version_are_refused(network, tmp_path, labels):
    runs.save_model(tmp_path / "new", network, ModelConfig("small", "none"), (32, 16), labels, crop="spiral")
    with pytest.raises(UserError, match="crops that this version does not know"):
        runs.load(tmp_path / "new")


def test_a_file_that_lacks_a_checksum_is_refused(saved, tmp_path):
    with safe_open(saved, "pt") as opened:
        metadata = opened.metadata()
    for name in ("facts", "sha256"):
        save_file(load_file(saved), tmp_path / name, metadata={key: text for key, text in metadata.items() if key != name})
        with pytest.raises(UserError, match="is damaged: its checksum does not fit"):
            runs.read_model(tmp_path / name)


@pytest.mark.parametrize("name", ["osnet.pth", "a.pth.tar", "b.ckpt"])
def test_a_file_of_another_library_is_told_how_it_becomes_a_run(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK and no safetensors")
    with pytest.raises(UserError, match=rf"{name} is no checkpoint of ours. .*adopt .*{name}"):
        runs.read_model(tmp_path / name)
