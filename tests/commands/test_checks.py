"""Images that are scored after hours are read before the first step."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from reid_srdl.commands import checks
from reid_srdl.data.records import ReIDData, Split
from reid_srdl.errors import UserError

from ..conftest import make_split


@pytest.fixture
def copied(people, tmp_path) -> ReIDData:
    """``people`` in a folder that may be spoilt, with further images of the query people and of somebody else."""
    root = shutil.copytree(people.train.root, tmp_path / "photos")
    moved = {name: dataclasses.replace(getattr(people, name), root=root) for name in ("train", "query", "gallery")}
    own, others = make_split(root, "boxes", range(11, 13), 3, 1), make_split(root, "other", range(90, 91), 3, 1)
    boxes = Split("multi_query", root, own.paths + others.paths, np.concatenate([own.labels, others.labels]), np.concatenate([own.cameras, others.cameras]))
    return ReIDData("people", multi_query=boxes, **moved)


def truncated(file) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def empty(file) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("spoil", [truncated, empty])
@pytest.mark.parametrize("part", ["query", "gallery", "multi_query"])
def test_a_bad_image_is_named(config, copied, part, spoil):
    bad = getattr(copied, part).files[2]
    spoil(bad)
    with pytest.raises(UserError) as error:
        checks.can_be_scored(config, copied)
    assert f"1 of the 42 images to be scored cannot be read: {bad} (" in error.value.message
    assert "--evaluate none" in error.value.hint and "--data.skip_corrupt" in error.value.hint
    checks.can_be_scored(dataclasses.replace(config, evaluate="none"), copied)


def test_the_first_few_are_named(config, copied):
    for file in copied.gallery.files[:5]:
        empty(file)
    with pytest.raises(UserError) as error:
        checks.can_be_scored(config, copied)
    assert "5 of the 42 images" in error.value.message and error.value.message.count("0 bytes") == checks.NAMED and error.value.message.endswith("; …")


def test_images_that_are_not_scored_are_not_looked_at(config, copied):
    for file in (copied.train.files[0], copied.multi_query.files[-1]):  # the last box is of somebody who is asked for nowhere
        empty(file)
    checks.can_be_scored(config, copied)


def test_of_what_would_be_streamed_only_headers_are_read(config, copied):
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, memory_gb=0.0))
    truncated(copied.query.files[0])
    checks.can_be_scored(config, copied)
    empty(copied.query.files[1])
    with pytest.raises(UserError, match="1 of the 42"):
        checks.can_be_scored(config, copied)


def test_what_is_scored_during_training_is_looked_at_too(config, copied):
    copied = dataclasses.replace(copied, val_query=copied.query, val_gallery=copied.gallery)
    config = dataclasses.replace(config, evaluate="none", log=dataclasses.replace(config.log, eval_every=1))
    empty(copied.query.files[0])
    with pytest.raises(UserError, match="1 of the 36"):
        checks.can_be_scored(config, copied)


def test_splits_that_are_not_there(config, copied):
    with pytest.raises(UserError, match="no held-out identities"):
        checks.can_be_scored(dataclasses.replace(config, evaluate="val"), copied)
    alone = dataclasses.replace(copied, gallery=copied.gallery.take(copied.gallery.cameras == 1), query=copied.query.take(copied.query.cameras == 1))
    with pytest.raises(UserError, match="nothing could be scored") as error:
        checks.can_be_scored(config, alone)
    assert "--evaluate none" in error.value.hint and "--ignore_camera" in error.value.hint


def test_held_out_people_of_one_image_a_camera_are_told_of_as_eval_does(config, copied):
    query, gallery = copied.query, copied.gallery.take(np.zeros(0, dtype=int))
    held_out = dataclasses.replace(copied, val_query=query, val_gallery=gallery)
    with pytest.raises(UserError, match="one image a camera: all of them are queries") as error:
        checks.can_be_scored(dataclasses.replace(config, evaluate="val"), held_out)
    assert "--evaluate test" in error.value.hint and "--ignore_camera" not in error.value.hint


def test_a_bar_goes_over_all_images(config, copied):
    seen = []

    def tracks(title):
        return lambda items: (seen.append((title, number)) or number for number in items)

    checks.can_be_scored(config, copied, tracks)
    assert len(seen) == 42 and seen[0] == ("checking images to be scored (test)", 0)
