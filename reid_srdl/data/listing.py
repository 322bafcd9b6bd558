"""What lies in a folder, in one order on every file system."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import UserError
from .decoding import SUFFIXES

FOREIGN = frozenset({".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".ppm", ".pgm", ".dng", ".cr2", ".nef", ".arw"})
"""Suffixes of image formats that are not read."""
DIGITS = 1000
"""The most digits that are read as one number; Python itself converts at most 4,300."""


def is_image(name: str) -> bool:
    """Whether a file is an image, by its suffix; hidden files, such as the ``._X.jpg`` that macOS leaves behind, are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def is_foreign(name: str) -> bool:
    """Whether a file of this name is an image of a format that is not read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in FOREIGN


def image_names(folder: Path) -> list[str]:
    """The names of the images directly in a folder, in ascending order; a link that leads nowhere, or to itself, counts as an image (an unreadable one).

    Raises:
        UserError: the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(entry.name) and (_is(entry.is_file) or (entry.is_symlink() and not _is(entry.is_dir))))


def foreign_names(folder: Path) -> list[str]:
    """The names of images directly in a folder whose format is not read."""
    with _readable(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_foreign(entry.name))


def folder_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, hidden ones left out, in natural order.

    Raises:
        UserError: the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is(entry.is_dir) and not entry.name.startswith(".")]
    return sorted(names, key=natural_key)


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry of a folder is of that kind; False where the system cannot follow it, such as a link to itself."""
    try:
        return kind()
    except OSError:
        return False


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from None


def natural_key(word: str) -> tuple:
    """Sorts ``p2`` before ``p10``; words that differ in leading zeros only keep a fixed order."""
    parts = re.split(r"(\d+)", word)
    return tuple((int(part[:DIGITS]), "") if part.isdecimal() else (-1, part) for part in parts), word
