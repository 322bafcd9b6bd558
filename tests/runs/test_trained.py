import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from reid_srdl import config as configuration
from reid_srdl import runs
from reid_srdl.config import ModelConfig
from reid_srdl.data import images
from reid_srdl.errors import UserError


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


def test_a_model_carries_its_crop_and_sees_images_by_it(saved, network, people, tmp_path, labels):
    assert runs.read_model(saved).crop == runs.load(saved, "cpu").crop == "none"
    file = tmp_path / "crop.safetensors"
    runs.save_model(file, network, ModelConfig("small", "none"), (32, 16), labels, "imagenet")
    trained, whole = runs.load(file, "cpu"), runs.load(saved, "cpu")
    assert trained.crop == "imagenet" and trained.model_hash != whole.model_hash
    files = people.query.files[:3]
    assert not np.allclose(trained.embed(files), whole.embed(files), atol=1e-4)
    memory, stream = trained.source(files, memory_gb=1), trained.source(files)
    assert type(memory) is not type(stream) and torch.equal(memory.batch([2, 0]), stream.batch([2, 0]))
    expected = images.open_source(files, (32, 16), crop="imagenet")
    assert torch.equal(stream.batch([1]), expected.batch([1]))


def test_pictures_in_memory_embed_as_their_files_do(saved, people):
    trained = runs.load(saved, "cpu")
    files = people.gallery.files[:3]
    arrays = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    for given in (arrays, list(arrays), [Image.open(file) for file in files]):
        assert np.allclose(trained.embed(given), trained.embed(files), atol=1e-6)
    with pytest.raises(UserError, match=r"takes several. Put it into a list"):
        trained.embed(str(files[0]))


def test_images_may_come_from_a_generator_and_are_of_one_kind(saved, people):
    trained = runs.load(saved, "cpu")
    files = people.gallery.files[:3]
    assert np.array_equal(trained.embed(file for file in files), trained.embed(files))
    picture = Image.new("RGB", (16, 32))
    for given, message in ((picture, "one picture, of type"), ([files[0], picture], "1 paths among 2 images"), (files, "batch is 0")):
        with pytest.raises(UserError, match=message):
            trained.embed(given, batch=0 if given is files else 64)


def test_a_precision_that_there_is_not(saved):
    with pytest.raises(UserError, match="there is no precision 'fp64'. Choose auto, fp32"):
        runs.load(saved, "cpu", precision="fp64")
