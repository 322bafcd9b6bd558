import dataclasses
import shutil

import numpy as np
import pytest
import torch

from reid_srdl.data.records import ClassData, ReIDData, limit_identities, limit_images
from reid_srdl.errors import UserError
from reid_srdl.training.material import Material

CPU = torch.device("cpu")


def material(config, data, watch):
    return Material(config, data, CPU, says=watch.says, tracks=watch.tracks)


def test_labels_are_numbered_from_zero_and_junk_is_left_out(config, people, watch):
    labels = people.train.labels.copy()
    labels[:2] = -1
    made = material(config, ReIDData("people", dataclasses.replace(people.train, labels=labels), people.query, people.gallery), watch)
    assert len(made.split) == 52 and made.labels.tolist() == [1, 2, 3, 4, 5, 6] and (made.kind, made.name) == ("identities", "people")
    assert np.array_equal(made.labels[made.targets], made.split.labels)


def test_ranks_share_the_batches_of_one(config, people, watch):
    made = material(config, people, watch)
    made.open()
    assert watch.lines == ["54 training images of 6 identities, in memory at 32x16"]
    whole = list(made.loader(CPU).epoch(0, 0))
    parts = [list(made.loader(CPU, rank, 2).epoch(0, 0)) for rank in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(batch.images, torch.cat([one.images for one in shares])) and torch.equal(batch.indices, torch.cat([one.indices for one in shares]))


def test_a_network_that_is_imitated_sees_the_images_of_training_unless_they_are_crops_or_of_another_size(config, people, watch):
    class Model:
        crop, size = "none", (32, 16)

    made = material(config, people, watch)
    made.open()
    assert made.clean_source(Model) is made.source
    Model.size = (16, 8)
    assert made.clean_source(Model) is not made.source
    Model.size = (32, 16)
    cropped = material(dataclasses.replace(config, data=dataclasses.replace(config.data, crop="imagenet")), people, watch)
    cropped.open()
    Model.crop = "imagenet"
    clean, rows = cropped.clean_source(Model), np.arange(4)
    assert torch.equal(clean.batch(rows, epoch=0), clean.batch(rows, epoch=1)) and not torch.equal(cropped.source.batch(rows, epoch=0), cropped.source.batch(rows, epoch=1))


def test_what_cannot_train_a_classifier_is_said(config, people, watch):
    one = people.train.take(people.train.labels == 1)
    for split, words in ((one, "holds 1 identity"), (people.train.take(np.zeros(54, dtype=bool)), "is empty")):
        with pytest.raises(UserError, match=words):
            material(config, ReIDData("people", split, people.query, people.gallery), watch)


def test_data_that_is_not_limited_as_the_configuration_says_is_refused(config, people, watch):
    """Whoever is held out by a configuration must not have been trained on."""
    asked = dataclasses.replace(config, data=dataclasses.replace(config.data, train_identities=4, holdout_identities=2))
    with pytest.raises(UserError, match="data.train_identities 4 and data.holdout_identities 2, and the data set is not limited so"):
        material(asked, people, watch)
    assert material(asked, limit_identities(people, train=4, holdout=2), watch).labels.tolist() == [1, 2, 3, 4]
    held = dataclasses.replace(config, data=dataclasses.replace(config.data, holdout_identities=2))
    with pytest.raises(UserError, match="not limited so"):
        material(held, people, watch)


def test_the_same_of_classes(config, people, watch):
    classes = ClassData("things", dataclasses.replace(people.train, labels=people.train.labels - 1), None, people.query, tuple("abcdef"))
    asked = dataclasses.replace(config, data=dataclasses.replace(config.data, train_per_class=2))
    with pytest.raises(UserError, match="data.train_per_class 2"):
        material(asked, classes, watch)
    assert len(material(asked, limit_images(classes, per_class=2, holdout_per_class=0), watch).split) == 12


def test_a_class_of_which_no_image_can_be_read_is_named_and_a_person_is_left_out(config, people, watch, tmp_path):
    skipping = dataclasses.replace(config, data=dataclasses.replace(config.data, skip_corrupt=True))
    shutil.copytree(people.train.root, tmp_path / "copy")
    split = dataclasses.replace(people.train, root=tmp_path / "copy")
    for file in split.take(split.labels == 3).files:
        file.write_bytes(b"broken")
    classes = ClassData("things", dataclasses.replace(split, labels=split.labels - 1), None, people.query, tuple("abcdef"))
    with pytest.raises(UserError, match="the class c of things has no training image left that can be read"):
        material(skipping, classes, watch)
    assert material(skipping, ReIDData("people", split, people.query, people.gallery), watch).labels.tolist() == [1, 2, 4, 5, 6]


def test_two_images_a_process_are_enough(config, people, watch):
    made = material(config, people, watch)
    made.check_shares(8)  # of batches of 16
    with pytest.raises(UserError, match="9 processes cannot share the smallest batch of an epoch, 16 images"):
        made.check_shares(9)


class Deep(torch.nn.Module):
    """Whose last map is one pixel at 32x32 and four at 64x64."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 32, stride=32), torch.nn.BatchNorm2d(4))

    def forward(self, images):
        return self.layers(images)


def test_a_batchnorm_over_one_place_needs_two_images_in_a_step(config, people, watch):
    def checked(batch: int, side: int, neck: str = "none") -> None:
        data = dataclasses.replace(config.data, batch=batch, height=side, width=side)
        network = Deep()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        material(dataclasses.replace(config, data=data, model=dataclasses.replace(config.model, neck=neck)), people, watch).check_alone(network)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    for neck, hint in (("none", "or larger images"), ("bnneck", "or --model.neck none")):
        with pytest.raises(UserError, match=f"data.batch is 1, and a BatchNorm of the network needs two images in a step. Choose a larger --data.batch, {hint}"):
            checked(1, 32, neck)
    checked(1, 64)
    checked(2, 32)
