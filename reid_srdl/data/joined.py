"""Several re-identification sets joined into one: they train together, and are scored one by one."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from .records import DISTRACTOR, ClassData, ReIDData, Split

SAME_PEOPLE = ({"market1501", "market1501_500k"}, {"cuhk03", "cuhk03_labeled"})
"""Sets that show the same people, each of whom would get two labels."""

SIGN = "+"
"""Between the names of the parts: ``market1501+msmt17``."""
SPLITS = ("train", "query", "gallery", "multi_query", "val_query", "val_gallery")


class Numbering(NamedTuple):
    """How a part's own labels and cameras are numbered in the joined set: ``labels[i]`` becomes ``first_label + i``, and cameras alike.

    Args:
        labels: the part's identities in ascending order, of all its splits, int64 ``(I,)``.
        cameras: its cameras in ascending order, int64 ``(K,)``.
        first_label: the part's first label in the joined set.
        first_camera: the part's first camera in the joined set.
    """

    labels: np.ndarray
    cameras: np.ndarray
    first_label: int
    first_camera: int


@dataclass(frozen=True, eq=False)
class JoinedSplit(Split):
    """Rows of several parts; a path begins with the name of its part, and ``roots`` gives the folder of each part's files."""

    roots: tuple[tuple[str, Path], ...] = ()

    @property
    def files(self) -> list[Path]:
        roots = dict(self.roots)
        pairs = (path.split("/", 1) for path in self.paths)
        return [roots[part] / inner for part, inner in pairs]


@dataclass(frozen=True, eq=False)
class JoinedData(ReIDData):
    """Several sets as one, in which no two parts share an identity or a camera.

    Identities and cameras of the joined set count from 1, part after part. ``train.label_names[label - 1]`` is ``PART/LABEL``; junk and
    distractors stay -1 and 0.

    Args:
        parts: the sets as their own readers made them, in the order in which they were named.
        numberings: how each part is renumbered.
    """

    parts: tuple[ReIDData, ...] = ()
    numberings: tuple[Numbering, ...] = ()


def part_names(name: str) -> tuple[str, ...]:
    """The names of the sets that a name joins; for a single set, its own name."""
    return tuple(name.split(SIGN))


def parts_of(data: ReIDData | ClassData) -> tuple[ReIDData | ClassData, ...]:
    """What is scored one by one: the parts of a joined set, or the set itself."""
    return data.parts if isinstance(data, JoinedData) else (data,)


def each(data: ReIDData, change: Callable[[ReIDData], ReIDData]) -> ReIDData:
    """Applies ``change`` to a set; to a joined set part by part, and joins the results again under the same numbers."""
    if not isinstance(data, JoinedData):
        return change(data)
    return _whole(data.name, data.train.root, [change(part) for part in data.parts], data.numberings)


def read_joined(root: Path, readers: Sequence[tuple[str, Callable[[Path], ReIDData | ClassData]]]) -> JoinedData:
    """The sets of one data root as one.

    Args:
        root: the data root.
        readers: name and reader of each part.

    Raises:
        UserError: a part is named twice, is a set of classes or a CSV file, or what its reader raises.
    """
    names = [name for name, _ in readers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{SIGN.join(names)} names {twice} twice", "Name each data set once.")
    for pair in SAME_PEOPLE:
        if pair <= set(names):
            raise UserError(f"{' and '.join(sorted(pair))} show the same people", "Name one of them.")
    if "csv" in names:
        raise UserError("a CSV file cannot be joined with other sets, which lie in one folder", "Bring its images into the layout of the data set folder, in the folder ROOT/folder.")
    parts = []
    for name, read in readers:
        data = read(root)
        if not isinstance(data, ReIDData):
            raise UserError(f"{name} is a set of classes, which cannot be joined with others", "Join sets of people or vehicles, such as market1501+msmt17.")
        parts.append(dataclasses.replace(data, name=name))
    _refuse_shared_images(parts)
    return _whole(SIGN.join(names), root, parts, _numberings(parts))


def _refuse_shared_images(parts: Sequence[ReIDData]) -> None:
    """Raises ``UserError`` where two parts read the same training images, of people who would then have two labels each."""
    real = functools.cache(os.path.realpath)
    part_of: dict[tuple[str, str], str] = {}
    for part in parts:
        for file in part.train.files:
            first = part_of.setdefault((real(file.parent), file.name), part.name)
            if first != part.name:
                raise UserError(f"{first} and {part.name} both read {file}", f"Name one of them, or put what is meant by {part.name} into a folder of its own.")


def _numberings(parts: Sequence[ReIDData]) -> tuple[Numbering, ...]:
    made: list[Numbering] = []
    label = camera = 1
    for part in parts:
        splits = [split for name in SPLITS if (split := getattr(part, name)) is not None]
        labels = np.unique(np.concatenate([split.labels for split in splits]))
        cameras = np.unique(np.concatenate([split.cameras for split in splits]))
        made.append(Numbering(labels[labels > DISTRACTOR], cameras, label, camera))
        label, camera = label + len(made[-1].labels), camera + len(cameras)
    return tuple(made)


def _whole(name: str, root: Path, parts: Sequence[ReIDData], numberings: tuple[Numbering, ...]) -> JoinedData:
    words = tuple(word for part, numbering in zip(parts, numberings, strict=True) for word in _words(part, numbering))
    splits = {split: _joined(split, root, parts, numberings, words) for split in SPLITS}
    return JoinedData(name, **splits, parts=tuple(parts), numberings=numberings)


def _words(part: ReIDData, numbering: Numbering) -> list[str]:
    own = part.train.label_names
    return [f"{part.name}/{label if own is None else own[label - 1]}" for label in numbering.labels.tolist()]


def _joined(name: str, root: Path, parts: Sequence[ReIDData], numberings: Sequence[Numbering], words: tuple[str, ...]) -> JoinedSplit | None:
    """The split of that name of all parts that have it, in ascending order of path; none where no part has it."""
    paths: list[str] = []
    labels, cameras, roots = [], [], []
    for part, numbering in zip(parts, numberings, strict=True):
        split: Split | None = getattr(part, name)
        if split is None:
            continue
        paths += [f"{part.name}/{path}" for path in split.paths]
        people = np.searchsorted(numbering.labels, split.labels) + numbering.first_label
        labels.append(np.where(split.labels > DISTRACTOR, people, split.labels))
        cameras.append(np.searchsorted(numbering.cameras, split.cameras) + numbering.first_camera)
        roots.append((part.name, split.root))
    if not roots:
        return None
    order = sorted(range(len(paths)), key=paths.__getitem__)
    return JoinedSplit(
        name, root, tuple(paths[row] for row in order), np.concatenate(labels)[order], np.concatenate(cameras)[order], words, tuple(roots)
    )
