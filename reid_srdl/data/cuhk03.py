"""CUHK03 (Li et al. 2014) by the new protocol of Zhong et al. (2017): 767 people train, 700 test.

Three layouts are in circulation, and all are read:
``KIND/bounding_box_train`` … (CUHK03-NP, Market-1501's layout), or ``images_KIND/1_001_1_01.png`` with the
split in ``cuhk03_new_protocol_config_KIND.mat`` or in ``splits_new_KIND.json``; KIND is
``detected`` or ``labeled`` (boxes).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from .. import files
from ..errors import UserError
from .counts import compare_counts
from .labels import split_of
from .listing import image_names
from .market1501 import read_layout
from .mat_file import read_mat
from .records import ReIDData
from .telling import meanwhile
from .unpacking import find_folder

OFFICIAL = {
    "detected": {"training images": 7_365, "query images": 1_400, "gallery images": 5_332},
    "labeled": {"training images": 7_368, "query images": 1_400, "gallery images": 5_328},
}
_IDENTITIES = {"training identities": 767, "query identities": 700}

# 1_001_2_05.png: camera pair, person within the pair, camera of the pair, image.
_NAME = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)\.", re.ASCII)

Rows = dict[str, list[tuple[str, int, int]]]


def read_cuhk03(root: Path) -> ReIDData:
    """CUHK03, new protocol, boxes of a detector."""
    return _read(Path(root), "detected", "cuhk03")


def read_cuhk03_labeled(root: Path) -> ReIDData:
    """CUHK03, new protocol, boxes drawn by hand."""
    return _read(Path(root), "labeled", "cuhk03_labeled")


def _read(root: Path, kind: str, name: str) -> ReIDData:
    def holds(folder: Path) -> bool:
        return (folder / kind / "bounding_box_train").is_dir() or (folder / f"images_{kind}").is_dir()

    folder = find_folder(
        root,
        ("cuhk03", "cuhk03-np", "CUHK03-NP", "CUHK03"),
        ("cuhk03-np.zip", "CUHK03-NP.zip"),
        holds,
        lambda: _missing(root, kind),
    )
    if (folder / kind / "bounding_box_train").is_dir():
        data = read_layout(folder / kind, name)
    else:
        rows = _rows(folder, kind)
        data = ReIDData(
            name, **{split: split_of(split, folder, rows[split], "its list has no images") for split in rows}
        )
    compare_counts(data, folder, OFFICIAL[kind] | _IDENTITIES)
    return data


def _rows(folder: Path, kind: str) -> Rows:
    there = set(image_names(folder / f"images_{kind}"))
    mat, listed = f"cuhk03_new_protocol_config_{kind}.mat", f"splits_new_{kind}.json"
    for parent in (folder, folder / "cuhk03_release", folder.parent):
        if (parent / mat).is_file():
            names, source = _from_mat(parent / mat), parent / mat
            break
        if (parent / listed).is_file():
            names, source = _from_json(parent / listed), parent / listed
            break
    else:
        raise UserError(
            f"{folder} has images_{kind} but no split",
            f"Put {mat} (or {listed}) beside the images: https://github.com/zhunzhong07/person-re-ranking has the former.",
        )
    absent = [name for split in names.values() for name in split if name not in there]
    if absent:
        raise UserError(
            f"{len(absent):,} images that {source} names are not in {folder / f'images_{kind}'}, such as {absent[0]}"
        )
    return _labelled(names, source, f"images_{kind}")


def _labelled(names: dict[str, list[str]], source: Path, inner: str) -> Rows:
    """Labels and cameras, taken from the file names, because the JSON lists renumber the training people from 0."""
    parsed = {name: _NAME.match(name) for split in names.values() for name in split}
    for name, found in parsed.items():
        if found is None:
            raise UserError(f"{source} names {name!r}, which is no image of CUHK03", "Wanted: 1_001_1_01.png")
    people = sorted({(int(found[1]), int(found[2])) for found in parsed.values()})
    label = {person: number for number, person in enumerate(people, 1)}
    return {
        split: [
            (f"{inner}/{name}", label[int(parsed[name][1]), int(parsed[name][2])], int(parsed[name][3]))
            for name in members
        ]
        for split, members in names.items()
    }


def _from_mat(path: Path) -> dict[str, list[str]]:
    """File names of the splits; the indices in the file count from 1."""
    keys = {"train": "train_idx", "query": "query_idx", "gallery": "gallery_idx"}
    config = read_mat(path, "filelist", *keys.values())
    try:
        names = [str(np.ravel(cell)[0]) for cell in config["filelist"].ravel()]
        numbers = {split: np.asarray(config[key].ravel(), dtype=np.float64) for split, key in keys.items()}
    except (IndexError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a split of CUHK03 ({type(error).__name__}: {error})", "Fetch it again.") from None
    if not all(np.array_equal(rows, np.rint(rows)) for rows in numbers.values()):
        raise UserError(f"{path} numbers images by what are no whole numbers", "Fetch it again.")
    indices = {split: rows.astype(np.int64) for split, rows in numbers.items()}
    if any(rows.size and not 1 <= rows.min() <= rows.max() <= len(names) for rows in indices.values()):
        raise UserError(f"{path} names images beyond its list of {len(names):,}", "Fetch it again.")
    return {split: [names[row - 1] for row in rows] for split, rows in indices.items()}


def _from_json(path: Path) -> dict[str, list[str]]:
    """File names of the splits; the folders in the file are those of the machine that wrote it."""
    try:
        content = files.read_json(path)
        split = content[0] if isinstance(content, list) else content
        return {
            key: [re.split(r"[/\\]", entry[0])[-1] for entry in split[key]] for key in ("train", "query", "gallery")
        }
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(
            f"{path} is not a split of CUHK03 ({type(error).__name__}: {error})", "Fetch it again."
        ) from None


def _missing(root: Path, kind: str) -> UserError:
    return UserError(
        f"CUHK03 ({kind}) is not in {root}",
        f"Put CUHK03-NP there as {root / 'cuhk03-np' / kind} with the folders bounding_box_train, query, "
        "bounding_box_test, or the images as "
        f"{root / 'cuhk03' / f'images_{kind}'} with cuhk03_new_protocol_config_{kind}.mat beside (the raw "
        "cuhk-03.mat is not read); "
        f"https://github.com/zhunzhong07/person-re-ranking has CUHK03-NP and those files. {meanwhile()}",
    )
