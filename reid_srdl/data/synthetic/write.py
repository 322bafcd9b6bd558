"""Writes a synthetic data set in the layout and with the file names of Market-1501."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from ...errors import UserError
from ...files import in_the_making, write_json
from ..records import DISTRACTOR, JUNK
from .camera import jpeg
from .shots import Place
from .spec import VERSION, Spec

TRAIN, QUERY, GALLERY, MULTI_QUERY = "bounding_box_train", "query", "bounding_box_test", "gt_bbox"
RECORD = "synthetic.json"

Item = TypeVar("Item")


def render(folder: Path, spec: Spec, *, progress: bool = False) -> None:
    """Renders the data set into ``folder``, which appears whole or not at all.

    Two processes may do this at once: both render, and one of the two equal folders is kept.

    Args:
        folder: where; must not exist yet.
        spec: how large, and the seed.
        progress: show a bar on stderr.

    Raises:
        UserError: the disk is full, or the place cannot be written to.
    """
    folder = Path(folder)
    temporary = in_the_making(folder, ".rendering")
    try:
        for name in (TRAIN, QUERY, GALLERY, MULTI_QUERY):
            (temporary / name).mkdir(parents=True)
        _write_all(temporary, Place(spec), progress)
        write_json(temporary / RECORD, {"version": VERSION, "spec": dataclasses.asdict(spec)})
        _settle(temporary, folder)
    except OSError as error:
        raise UserError(
            f"cannot render the synthetic data set into {folder}: {error.strerror}",
            "Choose another folder with --data_root, or free some space.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _settle(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        # Another process was quicker: its folder holds the same bytes.
        if not (folder / RECORD).is_file():
            raise


def _write_all(folder: Path, place: Place, progress: bool) -> None:
    training, testing = place.spec.identities()
    for label in _shown(training, "rendering training people", progress):
        _write_training(folder, place, label)
    for label in _shown(testing, "rendering test people", progress):
        _write_testing(folder, place, label)
    for number in range(place.spec.distractors):
        lens = number % place.spec.cameras
        _save(folder / GALLERY / _name(DISTRACTOR, lens, number, 0, 1), place.distractor(number, lens), place, lens)
    for number in range(place.spec.junk):
        lens = number % place.spec.cameras
        who = place.person(testing[number % len(testing)])
        _save(folder / GALLERY / _name(JUNK, lens, number, 0, 1), place.junk(who, number, lens), place, lens)


def _shown(items: list[Item], words: str, progress: bool) -> Iterator[Item]:
    return iter(tqdm(items, desc=words, unit="person", file=sys.stderr, disable=not (progress and sys.stderr.isatty())))


def _write_training(folder: Path, place: Place, label: int) -> None:
    who = place.person(label)
    for lens in range(place.spec.cameras):
        visit = place.visit(lens, label)
        for number in range(_shots(place, label, lens)):
            (picture,) = place.shot(who, label, visit, number, "detected")
            _save(folder / TRAIN / _name(label, lens, label, number, 1), picture, place, lens)


def _write_testing(folder: Path, place: Place, label: int) -> None:
    """The careful box of a walk's first shot is the query; the detected boxes of the other shots go to the gallery.

    The query and further careful boxes of the same walk are the multi-query images. The query's own shot is not in the gallery.
    """
    who = place.person(label)
    for lens in range(place.spec.cameras):
        visit = place.visit(lens, label)
        (query,) = place.shot(who, label, visit, 0, "careful")
        name = _name(label, lens, label, 0, 0)
        _save(folder / QUERY / name, query, place, lens)
        shutil.copyfile(folder / QUERY / name, folder / MULTI_QUERY / name)
        for number in range(1, max(_shots(place, label, lens), place.spec.multi_query)):
            boxes = ("detected", "careful") if number < place.spec.multi_query else ("detected",)
            pictures = place.shot(who, label, visit, number, *boxes)
            _save(folder / GALLERY / _name(label, lens, label, number, 1), pictures[0], place, lens)
            for picture in pictures[1:]:
                _save(folder / MULTI_QUERY / _name(label, lens, label, number, 0), picture, place, lens)


def _shots(place: Place, label: int, lens: int) -> int:
    """How many shots a walk has: the spec's mean, one fewer or one more by chance."""
    return place.spec.shots + int(place.spec.random("shots", label, lens).integers(-1, 2))


def _name(label: int, lens: int, minute: int, number: int, box: int) -> str:
    """Identity, camera, sequence, frame, box: ``0002_c1s1_000451_00.jpg``."""
    person = "-1" if label == JUNK else f"{label:04d}"
    return f"{person}_c{lens + 1}s1_{(minute * 97 + lens * 31) % 9000 * 100 + 1 + 25 * number:06d}_{box:02d}.jpg"


def _save(file: Path, picture: np.ndarray, place: Place, lens: int) -> None:
    # The quality of a recorder varies with what it has to store.
    quality = place.cameras[lens].quality + int(place.spec.random("quality", file.name).integers(-8, 9))
    file.write_bytes(jpeg(picture, min(quality, 95)))
