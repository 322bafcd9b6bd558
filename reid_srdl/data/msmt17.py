"""MSMT17 (Wei et al. 2018): text files of ``PATH IDENTITY`` lines, beside the folders ``train`` and ``test``.

In version 2, whose faces are blurred, the folders are ``mask_train_v2`` and ``mask_test_v2``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..errors import UserError
from .counts import compare_counts
from .labels import split_of
from .records import ReIDData, Split
from .telling import meanwhile
from .unpacking import find_folder

VERSIONS = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
LISTS = {"train": ("list_train.txt", "list_val.txt"), "query": ("list_query.txt",), "gallery": ("list_gallery.txt",)}

OFFICIAL = {"training images": 32_621, "training identities": 1_041, "query images": 11_659, "query identities": 3_060, "gallery images": 82_161}

# 0000/0000_000_01_0303morning_0008_0.jpg: identity, image, camera, time, frame, box.
_CAMERA = re.compile(r"[^_]+_[^_]+_(\d+)_", re.ASCII)


def read_msmt17(root: Path) -> ReIDData:
    """MSMT17, version 1 or 2. Training takes ``list_train.txt`` and ``list_val.txt``, as papers do.

    The lists number training people and test people from 0 each; here training people are 1 to 1,041 and test people
    follow, so that no two people share a label and nobody has the label 0 of distractors.

    Raises:
        UserError: the set is not there, a list is missing or malformed, or an image that it names is not there.
    """
    folder = find_folder(
        Path(root),
        ("msmt17", "MSMT17_V1", "MSMT17_V2", "MSMT17"),
        ("MSMT17_V1.zip", "MSMT17_V2.zip", "MSMT17.zip"),
        _holds,
        lambda: _missing(root),
    )
    train_folder, test_folder = next(pair for pair in VERSIONS if (folder / pair[0]).is_dir())
    rows = {
        split: [
            row for name in names for row in _listed(folder, name, train_folder if split == "train" else test_folder)
        ]
        for split, names in LISTS.items()
    }
    last = max((label for _, label, _ in rows["train"]), default=0)
    for split in ("query", "gallery"):
        rows[split] = [(path, label + last, camera) for path, label, camera in rows[split]]
    data = ReIDData("msmt17", **{split: _split(split, folder, rows[split]) for split in LISTS})
    compare_counts(data, folder, OFFICIAL)
    return data


def _holds(folder: Path) -> bool:
    return (folder / "list_train.txt").is_file() and any((folder / train).is_dir() for train, _ in VERSIONS)


def _listed(folder: Path, name: str, images: str) -> list[tuple[str, int, int]]:
    """(path, label counted from 1, camera) for each line of a list."""
    rows = []
    try:
        lines = (folder / name).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{folder / name} is no text in UTF-8", "Take the list as it was published.") from None
    except OSError as error:
        raise UserError(
            f"cannot read {folder / name}: {error.strerror}", "MSMT17 comes with four lists: unpack all of it."
        ) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        path, _, label = line.strip().rpartition(" ")
        camera = _CAMERA.match(path.rpartition("/")[2])
        if not label.isdecimal() or camera is None or max(len(label), len(camera[1])) > 9:
            raise UserError(
                f"{folder / name}, line {number}: {line[:80]!r} is no line of MSMT17",
                "Wanted: 0000/0000_000_01_0303morning_0008_0.jpg 0",
            )
        rows.append((f"{images}/{path}", int(label) + 1, int(camera[1])))
    return rows


def _split(name: str, folder: Path, rows: list[tuple[str, int, int]]) -> Split:
    label_of: dict[str, int] = {}
    for path, label, _ in rows:
        if label_of.setdefault(path, label) != label:
            raise UserError(f"the lists of {folder} name {path} twice, as of two people", "Take the lists as they were published.")
    split = split_of(name, folder, rows, f"{folder / LISTS[name][0]} has no lines")
    absent = np.flatnonzero([not file.is_file() for file in split.files])
    if len(absent):
        raise UserError(
            f"{len(absent):,} of the {len(split):,} images that the lists name for {name} are not there, such as "
            f"{split.files[absent[0]]}",
            "Unpack all of MSMT17.",
        )
    return split


def _missing(root: Path) -> UserError:
    return UserError(
        f"MSMT17 is not in {root}",
        f"Ask its authors for it (https://www.pkuvmc.com/dataset.html) and put it there as {Path(root) / 'MSMT17_V1'} with train, "
        "test and the lists "
        "list_train.txt, list_val.txt, list_query.txt, list_gallery.txt (V2: MSMT17_V2 with mask_train_v2, "
        f"mask_test_v2). {meanwhile()}",
    )
