"""Which images are to be embedded (a folder, a pattern or a CSV file), and whom they show, where that is told."""

from __future__ import annotations

import csv
import dataclasses
import glob
import hashlib
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from .. import files
from ..errors import UserError

LabelsBy = Literal["names", "folders"]


@dataclass(frozen=True, eq=False)
class Listed:
    """N images to embed.

    Args:
        files: where they are.
        paths: how they are called in the output.
        labels, cameras: ``(N,)``, where they are known of every image.
        names: words that labels stand for.
        folder: that the paths are relative to, where there is one.
    """

    files: list[Path]
    paths: list[str]
    labels: np.ndarray | None = None
    cameras: np.ndarray | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    folder: Path | None = None

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, start: int, stop: int) -> Listed:
        """The images from ``start`` up to, but not including, ``stop``."""
        labels = None if self.labels is None else self.labels[start:stop]
        cameras = None if self.cameras is None else self.cameras[start:stop]
        return dataclasses.replace(self, files=self.files[start:stop], paths=self.paths[start:stop], labels=labels, cameras=cameras)


def list_images(where: str, labels: LabelsBy = "names") -> Listed:
    """The images of a folder, a pattern or a CSV file, in ascending order of path (of a CSV file: in its order).

    Args:
        where: the folder, with all folders in it; the pattern; or the CSV file, with columns path and perhaps label and camera.
        labels: what tells whom an image shows: its name, such as ``0002_c1s1_000451_03.jpg`` or ``anna_c2_017.jpg`` (where all have one),
            or the ``folders`` of one person that it lies in.

    Raises:
        UserError: nothing is there, there are no images, or one lies in no folder of a person.
    """
    path = files.expanded(where)
    if path.suffix.lower() == ".csv":
        if labels == "folders":
            raise UserError(f"{path} says itself whom its images show", "Its column label does; leave --labels out.")
        return _from_csv(path)
    folder = path if path.is_dir() else None
    found = _in_folder(path) if folder else [path] if path.is_file() else _matching(path)
    if not found:
        raise UserError(f"there are no images {where}", "Name a folder, a pattern in quotes such as 'photos/*.jpg', or a CSV file.")
    listed = Listed(found, [(file.relative_to(folder) if folder else file).as_posix() for file in found], folder=folder)
    return _by_folders(listed) if labels == "folders" else _by_names(listed)


def other_people_by_folders(listed: Listed) -> bool:
    """Whether images lie in sub-folders, two or more and nearly all of them one level deep, that may be people but do not match the labels."""
    parts = [Path(path).parts for path in listed.paths]
    people = {part[0] for part in parts if len(part) == 2}
    if listed.folder is None or len(people) < 2 or sum(len(part) == 2 for part in parts) < 0.9 * len(parts):
        return False
    if listed.labels is None:
        return True
    pairs = {(part[0], label) for part, label in zip(parts, listed.labels.tolist(), strict=True) if len(part) == 2}
    return not len(people) == len({label for _, label in pairs}) == len(pairs)


def _matching(pattern: Path) -> list[Path]:
    return sorted(Path(name) for name in glob.glob(str(pattern), recursive=True) if Path(name).is_file())


def _in_folder(folder: Path) -> list[Path]:
    from ..data.left_out import warn_of_kinds
    from ..data.listing import is_foreign, is_image

    found, foreign, seen = [], [], set()

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot look into {error.filename}: {error.strerror}", "Give yourself the right to read it, or name a folder without it.") from None

    for inner, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        known = os.stat(inner)
        if (known.st_dev, known.st_ino) in seen:  # a link leads back to it
            folders.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))  # no wastebaskets; sorted, so that of two ways to a folder every machine takes the same
        found += [Path(inner) / name for name in names if is_image(name)]
        foreign += [Path(inner) / name for name in names if is_foreign(name)]
    found.sort()
    warn_of_kinds(sorted(foreign))
    if not found:
        raise UserError(f"there are no images in {folder}", "Name the folder that they or their folders are in.")
    return found


def _by_names(listed: Listed) -> Listed:
    from ..data import folder as own
    from ..data import market1501
    from ..data.labels import whole

    for parse in (market1501.parse_name, own.parse_name):
        parsed = [parse(file.name) for file in listed.files]
        if None not in parsed:
            labels, cameras = zip(*parsed, strict=True)
            return _labelled(listed, [str(label) for label in labels], whole(cameras, "camera"))
    return listed


def _by_folders(listed: Listed) -> Listed:
    from ..data.folder import camera_of
    from ..data.labels import whole

    for file, path in zip(listed.files, listed.paths, strict=True):
        if listed.folder is not None and len(Path(path).parts) != 2:
            raise UserError(f"{file} does not lie in a folder of one person in {listed.folder}", "Move it, name the folder that the people's folders are in, or leave --labels folders out.")
    folders = [Path(os.path.abspath(file)).parent for file in listed.files]
    known = {folder.name: folder for folder in folders}
    for folder in folders:
        if known[folder.name] != folder:
            raise UserError(f"{known[folder.name]} and {folder} would be one person", "Name the folder that the people's folders are in, with --images.")
    cameras = [camera_of(file.name) for file in listed.files]
    return _labelled(listed, [folder.name for folder in folders], None if None in cameras else whole(cameras, "camera"))


def _from_csv(path: Path) -> Listed:
    columns: dict[str, list[str]] = {"path": [], "label": [], "camera": []}
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or []]
            if "path" not in reader.fieldnames:
                raise UserError(f"{path} has no column path (it has: {', '.join(reader.fieldnames) or 'none'})", "Its first line names the columns: path,label,camera.")
            for row in reader:
                for name, values in columns.items():
                    values.append((row.get(name) or "").strip())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as CSV in UTF-8: {error}") from None
    if not columns["path"]:
        raise UserError(f"{path} lists no images", "Give each a line.")
    if "" in columns["path"]:
        raise UserError(f"{path}: line {columns['path'].index('') + 2} names no path", "Give each image a line.")
    inside = not any(Path(name).is_absolute() or ".." in Path(name).parts for name in columns["path"])
    listed = Listed([path.parent / name for name in columns["path"]], columns["path"], folder=path.parent if inside else None)
    return _labelled(listed, columns["label"], _numbers(columns["camera"]))


def _labelled(listed: Listed, words: list[str], cameras: np.ndarray | None) -> Listed:
    from ..data.labels import as_number

    words = [unicodedata.normalize("NFC", word) for word in words]
    labels = _numbers(words)
    if labels is None:
        return dataclasses.replace(listed, cameras=cameras)
    names = {int(label): word for label, word in zip(labels, words, strict=True) if as_number(word) is None}
    return dataclasses.replace(listed, labels=labels, cameras=cameras, names=names)


def _numbers(words: list[str]) -> np.ndarray | None:
    """Labels or cameras as int64; none where a word is missing. A number stays what it is; any other word gets its hash, which is the same in every file."""
    from ..data.labels import as_number, numbered

    if "" in words:
        return None
    values, names = numbered(words)
    if names is None:
        return values
    # Above all labels that data sets use, and below 2^53, where JavaScript's integers end; two words get the same number with probability 2^-52.
    own = {word: int.from_bytes(hashlib.sha256(os.fsencode(word)).digest()[:8], "big") >> 12 | 1 << 52 for word in set(words)}
    own |= {word: number for word in own if (number := as_number(word)) is not None}
    return np.array([own[word] for word in words], dtype=np.int64)
