"""Classification sets as folders: ``SPLIT/CLASS/IMAGE``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from .left_out import LeftOut
from .listing import folder_names, image_names
from .records import ClassData, Split
from .telling import warn

Listed = Mapping[str, Sequence[str]]
"""The name of each class to the paths of its images, relative to the root of the data set."""


def class_images(root: Path, split: str, inner: str = "") -> dict[str, list[str]]:
    """The images of a split that has one folder of images per class.

    Args:
        root: of the data set.
        split: the folder, relative to ``root``.
        inner: subfolder of each class's folder that holds the images; if empty, they lie directly in it.

    Raises:
        UserError: there are no classes, or one has no images.
    """
    classes = folder_names(root / split)
    loose = image_names(root / split)
    if not classes:
        what = f"{len(loose):,} images in no class" if loose else "no classes"
        raise UserError(f"{root / split} holds {what}", f"Wanted: a folder of images a class, as {root / split}/CLASS/1.jpg.")
    if loose:
        warn(f"{len(loose):,} images that lie in {root / split} itself are in no class and left out (such as {loose[0]})")
    listed: dict[str, list[str]] = {}
    left_out = LeftOut("class")
    for name in classes:
        folder = "/".join(filter(None, (split, name, inner)))
        images = image_names(root / folder) if (root / folder).is_dir() else []
        if not images:
            raise UserError(
                f"the class {name} has no images: there is none in {root / folder} itself",
                "Put its images there, or remove the folder.",
            )
        listed[name] = [f"{folder}/{image}" for image in images]
        left_out.look(root / folder)
    left_out.tell()
    return listed


def class_data(name: str, root: Path, splits: Mapping[str, Listed]) -> ClassData:
    """A data set of listed images. Labels count from 0 in ascending order of the classes' names.

    Args:
        name: of the data set.
        root: of the data set.
        splits: ``train``, ``test`` and perhaps ``val``.

    Raises:
        UserError: a class of train is missing from another split, or the reverse.
    """
    names = sorted(splits["train"])
    for split, listed in splits.items():
        _check_same(root, names, split, listed)
    made = {split: _split(split, root, listed, names) for split, listed in splits.items()}
    return ClassData(name, made["train"], made.get("val"), made["test"], tuple(names))


def _check_same(root: Path, names: Sequence[str], split: str, listed: Listed) -> None:
    for lacking, having, absent in (
        (split, "train", [name for name in names if name not in listed]),
        ("train", split, sorted(set(listed) - set(names))),
    ):
        if absent:
            which = f"the class {absent[0]} is" if len(absent) == 1 else f"{len(absent):,} classes ({', '.join(absent[:3])}{', …' if len(absent) > 3 else ''}) are"
            raise UserError(
                f"{which} in {having} but not in {lacking} ({root})",
                "Every class needs images to learn from and images to be scored on: add them, or remove the class.",
            )


def _split(name: str, root: Path, listed: Listed, names: Sequence[str]) -> Split:
    label = {word: number for number, word in enumerate(names)}
    rows = sorted((path, label[word]) for word, paths in listed.items() for path in paths)
    labels = np.array([number for _, number in rows], dtype=np.int64)
    return Split(name, root, tuple(path for path, _ in rows), labels, np.zeros(len(rows), dtype=np.int64))
