"""Market-1501 (Zheng et al. 2015), and every other data set in its layout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import UserError
from .counts import UNLIKE_PUBLISHED, compare_counts
from .labels import split_of
from .listing import image_names
from .records import ReIDData, Split
from .telling import meanwhile, warn
from .unpacking import find_folder

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
MULTI_QUERY = "gt_bbox"

OFFICIAL = {
    "training images": 12_936,
    "training identities": 751,
    "query images": 3_368,
    "query identities": 750,
    "gallery images": 19_732,
    "gallery images that are junk": 3_819,
    "gallery images that are distractors": 2_798,
    "gt_bbox images": 25_259,
}

# 0002_c1s1_000451_03.jpg, -1_c3s2_000001_01.jpg.jpg; other sets of this layout leave the sequence (s1) out.
_NAME = re.compile(r"(?P<label>-1|\d+)_c(?P<camera>\d+)(?:s\d+)?_", re.ASCII)


def read_market1501(root: Path) -> ReIDData:
    """Market-1501 from a data root: its folder, or its zip archive, which is unpacked.

    Junk (label -1) and distractors (label 0) stay rows of the gallery. A warning names counts that are not the
    official ones.

    Raises:
        UserError: the set is not there, or a split of it is missing or empty.
    """
    folder = find_folder(
        Path(root),
        ("market1501", "Market-1501-v15.09.15"),
        ("Market-1501-v15.09.15.zip",),
        holds_layout,
        lambda: _missing(root),
        lambda folder: not is_dukes(folder),
    )
    data = read_layout(folder, "market1501")
    boxes = folder / MULTI_QUERY
    of_people = sum(map(bool, map(parse_name, image_names(boxes)))) if boxes.is_dir() else 0
    compare_counts(data, folder, OFFICIAL, _remark(data), {"gt_bbox images": of_people})
    return data


def holds_layout(folder: Path) -> bool:
    """Whether a folder is in Market-1501's layout, whole or in part."""
    return (folder / FOLDERS["train"]).is_dir() or all(
        (folder / FOLDERS[name]).is_dir() for name in ("query", "gallery")
    )


def is_dukes(folder: Path) -> bool:
    """Whether the images of a folder in this layout have names like those of DukeMTMC-reID: ``0001_c2_f0046302.jpg``."""
    return any(re.search(r"_c\d+_f\d+", name) for inner in FOLDERS.values() if (folder / inner).is_dir() for name in image_names(folder / inner)[:1])


def read_layout(folder: Path, name: str, folders: Mapping[str, str] = FOLDERS) -> ReIDData:
    """Reads any folder in Market-1501's layout; ``folders`` gives other names for its folders.

    That is ``bounding_box_train``, ``query``, ``bounding_box_test`` and, for multi-query, ``gt_bbox``, with names such
    as ``0002_c1s1_000451_03.jpg`` (identity 2, camera 1).

    From ``gt_bbox`` only the images of the query people are taken: nobody else's are needed.

    Raises:
        UserError: a folder is missing, or no image in it has such a name.
    """
    folder = Path(folder)
    absent = [inner for inner in folders.values() if not (folder / inner).is_dir()]
    if absent:
        raise UserError(
            f"{folder} has no folder {' and no folder '.join(absent)}",
            f"{name} is read from the folders {', '.join(folders.values())}: unpack all of it.",
        )
    splits = {split: read_split(folder, inner, split) for split, inner in folders.items()}
    multi_query = None
    if (folder / MULTI_QUERY).is_dir() and image_names(folder / MULTI_QUERY):
        boxes = read_split(folder, MULTI_QUERY, "multi_query")
        multi_query = boxes.take(np.isin(boxes.labels, splits["query"].identities))
    return ReIDData(name, **splits, multi_query=multi_query if multi_query else None)


def parse_name(name: str) -> tuple[int, int] | None:
    """(label, camera) of a file name; None where it is not one of this layout."""
    found = _NAME.match(name)
    return (int(found["label"]), int(found["camera"])) if found else None


def read_split(folder: Path, inner: str, split: str) -> Split:
    """The images of one folder of the layout, labelled by their names; images with other names are left out, with a warning.

    Raises:
        UserError: no image has such a name.
    """
    rows, foreign = [], []
    for name in image_names(folder / inner):
        parsed = parse_name(name)
        if parsed is None:
            foreign.append(name)
        else:
            rows.append((f"{inner}/{name}", *parsed))
    result = split_of(
        split, folder, rows, f"{folder / inner} holds no image with a name such as 0002_c1s1_000451_03.jpg"
    )
    if foreign:
        warn(
            f"{len(foreign)} image{'s' if len(foreign) > 1 else ''} in {folder / inner} left out, since the name "
            "says neither "
            f"person nor camera (such as {foreign[0]}; wanted: 0002_c1s1_000451_03.jpg)"
        )
    return result


def _remark(data: ReIDData) -> str:
    test = len(data.query) == OFFICIAL["query images"] and len(data.gallery) == OFFICIAL["gallery images"]
    if not test:
        return UNLIKE_PUBLISHED
    if data.multi_query is None:
        return "Without gt_bbox there is no multi-query score."
    people = len(data.multi_query.identities)
    if people < OFFICIAL["query identities"]:
        return f"Multi-query finds images of {people:,} of the {OFFICIAL['query identities']:,} query people."
    return "Of gt_bbox, multi-query needs the query people only, and all of them are there."


def _missing(root: Path) -> UserError:
    return UserError(
        f"Market-1501 is not in {root}",
        "Get it from https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html (Liang Zheng's group) and put it there as "
        f"{Path(root) / 'Market-1501-v15.09.15'} with the folders {', '.join(FOLDERS.values())} inside, or as the "
        f"zip file Market-1501-v15.09.15.zip. {meanwhile()}",
    )
