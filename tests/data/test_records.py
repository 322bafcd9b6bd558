import dataclasses
import os

import numpy as np
import pytest

from reid_srdl.data.records import ClassData, ReIDData, Split, limit_identities, limit_images, numbered_from_zero
from reid_srdl.errors import UserError


def split(labels, cameras=None, root="."):
    labels = np.array(labels)
    cameras = np.ones(len(labels)) if cameras is None else cameras
    return Split("train", root, tuple(f"{i:03}.jpg" for i in range(len(labels))), labels, cameras)


def test_columns_must_fit():
    with pytest.raises(ValueError, match="train"):
        Split("train", ".", ("a",), np.array([1, 2]), np.array([1, 2]))


def test_identities_are_neither_junk_nor_distractors():
    assert split([3, 0, -1, 2, 3]).identities.tolist() == [2, 3]
    assert split([3, 0, -1, 2]).without_junk().labels.tolist() == [3, 0, 2]


def test_targets_count_from_zero_and_lead_back():
    targets, labels = numbered_from_zero(split([7, 3, 7, 100]))
    assert targets.tolist() == [1, 0, 1, 2]
    assert labels[targets].tolist() == [7, 3, 7, 100]


def test_the_hash_sees_names_labels_sizes_and_order(tmp_path):
    for name, content in (("000.jpg", b"a"), ("001.jpg", b"bb")):
        (tmp_path / name).write_bytes(content)
    before = split([1, 2], root=tmp_path).hash()
    assert split([1, 2], root=tmp_path).hash() == before
    assert split([2, 1], root=tmp_path).hash() != before
    # A name from an archive of Latin-1, which is no UTF-8.
    strange = os.fsdecode(b"caf\xe9.jpg")
    (tmp_path / strange).touch()
    assert len(dataclasses.replace(split([1, 2], root=tmp_path).take(np.array([0])), paths=(strange,)).hash()) == 64
    assert split([1, 2], root=tmp_path).take(np.array([1, 0])).hash() != before
    (tmp_path / "001.jpg").write_bytes(b"bbb")
    assert split([1, 2], root=tmp_path).hash() != before
    (tmp_path / "001.jpg").unlink()
    with pytest.raises(UserError, match=r"001\.jpg"):
        split([1, 2], root=tmp_path).hash()


def test_limits_keep_the_first_and_hold_out_the_last():
    labels = np.repeat([2, 3, 5, 7, 11], 4)
    cameras = np.tile([1, 1, 2, 2], 5)
    train = split(labels, cameras)
    data = limit_identities(ReIDData("toy", train, train, train), train=2, holdout=2)
    assert data.train.identities.tolist() == [2, 3]
    assert data.val_query.labels.tolist() == [7, 7, 11, 11]
    assert data.val_query.cameras.tolist() == [1, 2, 1, 2]
    assert sorted(data.val_query.paths + data.val_gallery.paths) == sorted(train.paths[12:])
    assert limit_identities(ReIDData("toy", train, train, train), train=None, holdout=1).train.identities.tolist() == [2, 3, 5, 7]
    with pytest.raises(UserError, match="5 training identities"):
        limit_identities(ReIDData("toy", train, train, train), train=4, holdout=2)
    with pytest.raises(UserError, match="5 training identities; 1 to train and 6 to hold out do not fit"):
        limit_identities(ReIDData("toy", train, train, train), train=None, holdout=6)


def classes(*labels):
    train = split(labels)
    return ClassData("toy", train, None, train, ("cat", "dog"))


def test_images_are_limited_and_held_out_by_class_in_order_of_path():
    data = classes(1, 0, 0, 1, 0, 1, 0)
    limited = limit_images(data, per_class=1, holdout_per_class=2)
    assert limited.train.paths == ("000.jpg", "001.jpg") and limited.train.labels.tolist() == [1, 0]
    assert limited.val.paths == ("002.jpg", "003.jpg", "004.jpg", "005.jpg") and limited.val.name == "val"
    assert limit_images(data, per_class=None, holdout_per_class=1).train.paths == ("000.jpg", "001.jpg", "002.jpg", "003.jpg", "004.jpg")
    assert limit_images(data, per_class=2, holdout_per_class=0).val is None
    assert limit_images(data, per_class=None, holdout_per_class=0) is data
    assert limited.test is data.test


def test_held_out_images_take_the_place_of_a_validation_set():
    data = dataclasses.replace(classes(0, 0, 1, 1), val=split([0, 1]))
    assert limit_images(data, per_class=1, holdout_per_class=0).val is data.val
    assert limit_images(data, per_class=None, holdout_per_class=1).val.paths == ("001.jpg", "003.jpg")


@pytest.mark.parametrize(("per_class", "holdout", "words"), [(3, 0, "dog of toy has 2 .* 3 to train and 0"), (1, 2, "1 to train and 2"), (None, 2, "1 to train and 2"), (None, 3, "cat")])
def test_a_class_with_too_few_images_is_named(per_class, holdout, words):
    with pytest.raises(UserError, match=words):
        limit_images(classes(0, 1, 0, 1, 0), per_class=per_class, holdout_per_class=holdout)


def test_of_each_held_out_person_and_camera_the_first_image_is_the_query():
    train = split([2, 2, 2, 2, 5, 5, 5, 5], np.array([1, 1, 2, 2, 1, 1, 2, 2]))
    data = limit_identities(ReIDData("toy", train, train, train), train=None, holdout=1)
    assert data.val_query.paths == ("004.jpg", "006.jpg") and data.val_gallery.paths == ("005.jpg", "007.jpg")


def test_classes_have_names_where_there_is_one_for_each(people):
    data = ClassData("things", people.train, None, people.query, ("a", "b", "c"))
    assert data.names_of(np.array([0, 2])) == ("a", "c") and data.names_of(np.array([0, 3])) is None
