"""Data sets: one reader per file, what readers return (``records``), and what happens to the images afterwards."""

from __future__ import annotations

import difflib
import functools
import os
from collections import ChainMap
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .. import files
from ..errors import UserError
from ..registered import Target, function_of
from .finding import label_words
from .joined import JoinedData, part_names, parts_of, read_joined
from .records import DISTRACTOR, ClassData, ReIDData

IDENTITY_READERS: dict[str, Target] = {
    "market1501": "reid_srdl.data.market1501:read_market1501",
    "market1501_500k": "reid_srdl.data.market1501_500k:read_market1501_500k",
    "cuhk03": "reid_srdl.data.cuhk03:read_cuhk03",
    "cuhk03_labeled": "reid_srdl.data.cuhk03:read_cuhk03_labeled",
    "dukemtmc": "reid_srdl.data.dukemtmc:read_dukemtmc",
    "msmt17": "reid_srdl.data.msmt17:read_msmt17",
    "veri776": "reid_srdl.data.veri776:read_veri776",
    "folder": "reid_srdl.data.folder:read_folder",
    "csv": "reid_srdl.data.csv_file:read_csv",
    "synthetic": "reid_srdl.data.synthetic:read_synthetic",
}
"""Name of a re-identification set to its reader, a function or ``"module:function"``; each takes the data root."""

CLASS_READERS: dict[str, Target] = {
    "cifar10": "reid_srdl.data.cifar:read_cifar10",
    "cifar100": "reid_srdl.data.cifar:read_cifar100",
    "tiny-imagenet": "reid_srdl.data.tiny_imagenet:read_tiny_imagenet",
    "imagenet": "reid_srdl.data.imagenet:read_imagenet",
    "image-folder": "reid_srdl.data.image_folder:read_image_folder",
}
"""The same for classification sets."""

READERS: Mapping[str, Target] = ChainMap(CLASS_READERS, IDENTITY_READERS)
"""A live view of both tables: to register a data set of one's own, add it to one of those."""

OWN = frozenset({"folder", "csv", "image-folder"})
"""Readers of a user's own data: the data root is the data itself."""
DRAWN = frozenset({"synthetic"})
"""Data sets that need no download: they are drawn on first use."""


def cache_folder() -> Path:
    """The folder ``$REID_CACHE``, else ``~/.cache/reid_srdl``: archives are unpacked there where the data root is read-only or ``$REID_CACHE`` is set."""
    folder = files.expanded(os.environ.get("REID_CACHE") or "~/.cache/reid_srdl")
    if str(folder).startswith("~"):
        raise UserError("there is no home for a cache of data sets", "Set REID_CACHE to a folder that can be written.")
    return folder


def reader(name: str) -> Callable[[Path], ReIDData | ClassData]:
    """The reader of a data set, or of several that are joined (``market1501+msmt17``).

    Raises:
        UserError: no data set has this name; the near ones are named.
    """
    names = part_names(name)
    if len(names) > 1:
        return functools.partial(read_joined, readers=[(part, reader(part)) for part in names])
    if name not in READERS:
        near = difflib.get_close_matches(name, READERS, n=3, cutoff=0.5)
        raise UserError(
            f"there is no data set {name!r}",
            f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(READERS)}.",
        )
    return function_of(READERS[name])


def read(name: str, root: Path | str) -> ReIDData | ClassData:
    """A data set by name.

    Args:
        name: a key of ``READERS``, or several re-identification sets as ``market1501+msmt17``: see ``joined``.
        root: the data root; for ``folder`` and ``image-folder`` the folder of images, for ``csv`` the file.

    Raises:
        UserError: unknown name, data that is not there, an empty split, labels that cannot be trained on or scored.
    """
    data = reader(name)(Path(root))
    for message, hint in label_problems(data):
        raise UserError(f"{data.name}: {message}", hint)
    return data


def label_problems(data: ReIDData | ClassData) -> list[tuple[str, str]]:
    """What in the labels makes training or scoring impossible, as pairs (what, what to do); empty where all is well."""
    if isinstance(data, JoinedData):
        return [(f"{part.name}: {what}", do) for part in parts_of(data) for what, do in label_problems(part)]
    problems = []
    unusable = int((data.train.labels <= DISTRACTOR).sum()) if isinstance(data, ReIDData) else 0
    if unusable:
        problems.append(
            (
                f"{unusable:,} training images have the label 0 or -1, which mean distractor and junk, not a person",
                "Number people from 1, and leave distractors and junk out of train.",
            )
        )
    elif len(np.unique(data.train.labels)) < 2:
        problems.append(
            ("train holds one person only", "Training needs images of two people at least, better of hundreds.")
            if isinstance(data, ReIDData)
            else ("train holds one class only", "Training needs images of two classes at least.")
        )
    if isinstance(data, ReIDData):
        asked, there = data.query.identities, data.gallery.identities
        if not np.isin(asked, there).any():
            problems.append(
                (
                    f"no query person is in the gallery (asked for: {label_words(data.query, asked) or 'nobody'}; "
                    f"there: {label_words(data.gallery, there) or 'nobody'}), so nothing can be scored",
                    "Query and gallery must label the same people alike: put further images of the query people into "
                    "the gallery.",
                )
            )
    return problems
