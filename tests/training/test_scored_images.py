"""Runs that are scored on other images on the way share no stage, and a resume notices them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import runs
from reid_srdl.data.joined import read_joined
from reid_srdl.data.records import ClassData
from reid_srdl.errors import UserError
from reid_srdl.training.run import train
from reid_srdl.training.scored_images import scored_hash

from .test_run import Stop, breaking, with_plan


def test_the_hash_is_of_the_scored_split_alone_and_knows_cameras(people):
    gallery = people.gallery
    elsewhere = dataclasses.replace(people, gallery=dataclasses.replace(gallery, cameras=gallery.cameras[::-1]))
    fewer = dataclasses.replace(people, gallery=gallery.take(np.arange(1, len(gallery))), train=people.train.take(np.arange(9)))
    assert len({scored_hash(data, "test") for data in (people, elsewhere, fewer)}) == 3
    assert len({scored_hash(data, "val") for data in (people, elsewhere, fewer)}) == 1, "nobody is held out"
    held = dataclasses.replace(people, val_query=people.query, val_gallery=gallery)
    assert scored_hash(held, "val") == scored_hash(held, "test") == scored_hash(people, "test")


def test_junk_is_scored_by_nobody(people):
    labels = people.gallery.labels.copy()
    labels[0] = -1
    without = people.gallery.take(np.arange(1, len(labels)))
    junk, none = (dataclasses.replace(people, gallery=gallery) for gallery in (dataclasses.replace(people.gallery, labels=labels), without))
    assert scored_hash(junk, "test") == scored_hash(none, "test") != scored_hash(people, "test")


def test_classes_and_several_sets_are_hashed_as_they_are_scored(people):
    classes = ClassData("things", people.train, None, people.gallery, tuple("abcdef"))
    held = dataclasses.replace(classes, val=people.query)
    assert scored_hash(classes, "test") == scored_hash(held, "test") != scored_hash(held, "val") != scored_hash(classes, "val")
    others = dataclasses.replace(people, train=dataclasses.replace(people.train, root=people.train.root / "elsewhere"))
    joined = read_joined(Path(), [("one", lambda root: people), ("two", lambda root: others)])
    assert scored_hash(joined, "test") not in {scored_hash(people, "test"), scored_hash(joined, "val")}


def scored_after_each_epoch(config, split, output):
    return dataclasses.replace(config, output=str(output), log=dataclasses.replace(config.log, eval_every=1, eval_split=split))


def test_a_stage_that_was_scored_on_other_images_is_trained_anew(config, people, watch, tmp_path):
    """As market1501 and market1501_500k, which train on the same people."""
    more = dataclasses.replace(people, gallery=people.gallery.take(np.arange(1, len(people.gallery))))
    vanilla = with_plan(config, name="vanilla", epochs=1)
    for name, data, value in (("one", people, 0.5), ("again", people, 0.7), ("other", more, 0.7)):
        folder = train(scored_after_each_epoch(vanilla, "test", tmp_path / "runs" / name), data, watch=watch, score=lambda network, place, value=value: {"mAP": value})
        shared, (row,) = runs.read_facts(folder)["stages"][0]["shared"], runs.read_log(folder / "stages/1-first")
        assert (shared, row["val_mAP"]) == {"one": (False, 0.5), "again": (True, 0.5), "other": (False, 0.7)}[name]


def test_a_resume_notices_that_the_scored_images_have_changed(config, people, watch, tmp_path):
    scored = scored_after_each_epoch(with_plan(config, name="vanilla", epochs=1), "test", tmp_path / "run")
    with pytest.raises(Stop):
        train(scored, people, watch=breaking(watch, 1), score=lambda network, place: {"mAP": 0.5})
    fewer = dataclasses.replace(people, query=people.query.take(np.arange(1, len(people.query))))
    with pytest.raises(UserError, match="the images that are scored in the training of .*run have changed"):
        train(scored, fewer, watch=watch, resume=True, score=lambda network, place: {"mAP": 0.5})
