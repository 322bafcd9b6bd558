"""A user's own images in a folder: Market-1501's layout or names, or one folder a person."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from ..errors import UserError
from .labels import numbered, split_of
from .left_out import LeftOut
from .listing import folder_names, foreign_names, image_names
from .records import ReIDData, Split
from .telling import warn

SPLITS = {
    "train": ("train", "bounding_box_train"),
    "query": ("query",),
    "gallery": ("gallery", "bounding_box_test", "test"),
    "multi_query": ("multi_query", "gt_bbox"),
}
AMONG_OTHERS = "folder"
LAYOUT = (
    "Wanted: the folders train, query and gallery, each with a folder of images a person (train/anna/1.jpg) or with "
    "images named "
    "PERSON_cCAMERA_… (0002_c1_01.jpg). Test people are not in train: put an image or two of each into query, the "
    "others into gallery."
)

# 0002_c1s1_000451_03.jpg, anna_c2_17.jpg
_NAME = re.compile(r"(?P<label>.+?)_c(?P<camera>\d+)(?=s\d|[_.])", re.ASCII)
# In a folder of one person the camera may stand anywhere: c3_001.jpg, anna_c3.jpg
_CAMERA = re.compile(r"(?:^|_)c(\d+)(?=s\d|[_.])", re.ASCII)


def read_folder(root: Path) -> ReIDData:
    """A folder with ``train``, ``query`` and ``gallery`` (or Market-1501's names for them), perhaps ``multi_query``.

    Where several data sets are trained on or scored in one go, it is the folder ``folder`` of their data root.

    In each split, images lie in one folder per person, or directly in it with person and camera in their names. The camera
    is 0 where a name does not tell it. Labels that are words are numbered over all splits together, see ``labels.numbered``.

    Raises:
        UserError: no such folders, an empty split, or an image whose person is not told.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"there is no folder {root}", f"Name it with --data_root. {LAYOUT}")
    root = place_of(root)
    found = _found(root)
    absent = [split for split in ("train", "query", "gallery") if found[split] is None]
    if absent:
        raise _incomplete(root, absent)
    listed = {split: _images(root, folder) for split, folder in found.items() if folder is not None}
    words = [word for rows in listed.values() for _, word, _ in rows]
    untold = sum(camera is None for rows in listed.values() for *_, camera in rows)
    labels, names = numbered(words)
    splits: dict[str, Split] = {}
    start = 0
    for split, rows in listed.items():
        own = labels[start : start + len(rows)].tolist()
        start += len(rows)
        if split == "multi_query" and not rows:
            continue
        numbered_rows = [(path, label, camera or 0) for (path, _, camera), label in zip(rows, own, strict=True)]
        made = split_of(split, root, numbered_rows, f"there is no image in {root / str(found[split])}")
        splits[split] = dataclasses.replace(made, label_names=names)
    if 0 < untold < len(words):
        warn(f"{root}: {untold:,} images tell no camera in their names and count as camera 0. Name them like anna_c1_001.jpg.")
    return ReIDData("folder", **splits)


def place_of(root: Path) -> Path:
    """The user's folder for a data root: the root itself, or the folder ``folder`` in it, beside other data sets."""
    among = root / AMONG_OTHERS
    return among if not any(_found(root).values()) and any(_found(among).values()) else root


def _found(root: Path) -> dict[str, str | None]:
    """The name of each split's folder in ``root``; None where there is none."""
    return {split: next((name for name in names if (root / name).is_dir()), None) for split, names in SPLITS.items()}


def parse_name(name: str) -> tuple[str, int] | None:
    """Person (a word) and camera from a file name such as ``anna_c2_017.jpg``; None where it does not tell them."""
    parsed = _NAME.match(name)
    return (parsed["label"], int(parsed["camera"])) if parsed else None


def camera_of(name: str) -> int | None:
    """The camera in a file name such as ``c3_001.jpg`` or ``anna_c3.jpg``; None where there is none."""
    found = _CAMERA.search(name)
    return int(found[1]) if found else None


def _images(root: Path, folder: str) -> list[tuple[str, str, int | None]]:
    """(path, label as a word, camera or None) of the images of a split."""
    flat, people = image_names(root / folder), folder_names(root / folder)
    rows: list[tuple[str, str, int | None]] = []
    left_out = LeftOut("person")
    left_out.foreign += [root / folder / name for name in foreign_names(root / folder)]
    for name in flat:
        parsed = parse_name(name)
        if parsed is None:
            raise UserError(
                f"{root / folder / name} tells no person: it is neither named like 0002_c1_01.jpg nor in a folder "
                "of one person",
                f"Rename it, or move it into {root / folder}/PERSON/.",
            )
        rows.append((f"{folder}/{name}", *parsed))
    for person in people:
        images = image_names(root / folder / person)
        if not images and folder_names(root / folder / person):
            raise UserError(f"{root / folder / person} holds folders instead of images", LAYOUT)
        left_out.look(root / folder / person)
        for name in images:
            rows.append((f"{folder}/{person}/{name}", person, camera_of(name)))
    left_out.tell()
    return rows


def _incomplete(root: Path, absent: list[str]) -> UserError:
    if len(absent) < 3:
        return UserError(
            f"{root} has no folder {' and no folder '.join(absent)}, so a model could not be trained and scored", LAYOUT
        )
    people = [name for name in folder_names(root) if image_names(root / name)]
    if people:
        return UserError(
            f"{root} holds {len(people):,} folders of images ({', '.join(people[:3])}, …) but does not say who "
            "trains and who tests",
            LAYOUT,
        )
    return UserError(f"{root} has no folders train, query and gallery", LAYOUT)
