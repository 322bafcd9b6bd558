"""The matches that a data set publishes for each query; ``verify`` compares the computed ones with them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ..errors import UserError
from .mat_file import read_mat
from .records import ReIDData, Split


class Known(NamedTuple):
    """The published gallery rows of one query, int64, in ascending order.

    Args:
        good: images of the query's identity by other cameras: its matches.
        junk: images of the query's identity by the query's own camera.
    """

    good: np.ndarray
    junk: np.ndarray


class Published(Protocol):
    """Published matches; ``source`` names the file or folder."""

    source: str

    def of(self, path: str) -> Known | None:
        """The matches of the query with that path; None where they are missing. Raises ``UserError`` where a list is malformed."""
        ...


def of(data: ReIDData) -> Published:
    """The matches that a data set publishes. Raises ``UserError`` where there are none."""
    root = data.query.root
    if (root / Matrices.source).is_dir():
        return Matrices(root / Matrices.source, data.gallery)
    if (root / Lists.source).is_file():
        return Lists(root, data.gallery)
    raise UserError(
        f"{data.name} has no folder {root / Matrices.source} to verify against",
        "The command data check looks at the data set without it.",
    )


class Matrices:
    """Market-1501's format: for each query ``NAME_good.mat`` with ``good_index`` and ``NAME_junk.mat`` with ``junk_index``.

    Both count from 1 in the list of gallery files sorted by name, junk files (``-1_…``) included. A file with nothing to list is empty or holds a 0.
    """

    source = "gt_query"

    def __init__(self, folder: Path, gallery: Split) -> None:
        self.folder = folder
        self.rows = np.arange(len(gallery))

    def of(self, path: str) -> Known | None:
        stem = path.rpartition("/")[2].partition(".")[0]
        files = self.folder / f"{stem}_good.mat", self.folder / f"{stem}_junk.mat"
        if not all(file.is_file() for file in files):
            return None
        listed = [read_mat(file, key)[key].ravel() for file, key in zip(files, ("good_index", "junk_index"), strict=True)]
        return Known(*(_rows(indices, self.rows, file) for indices, file in zip(listed, files, strict=True)))


class Lists:
    """VeRi-776's format: ``gt_index.txt`` and ``jk_index.txt`` have a line for each query of ``name_query.txt``, and count from 1 in ``name_test.txt``."""

    source = "gt_index.txt"
    junk = "jk_index.txt"

    def __init__(self, root: Path, gallery: Split) -> None:
        self.root = root
        row_of = {path.rpartition("/")[2]: row for row, path in enumerate(gallery.paths)}
        names = [line.strip() for line in _lines(root / "name_test.txt") if line.strip()]
        absent = [name for name in names if name not in row_of]
        if absent:
            raise UserError(f"{len(absent):,} images that {root / 'name_test.txt'} names are not there, such as {absent[0]}", "Unpack the whole data set.")
        self.rows = np.array([row_of[name] for name in names], dtype=np.int64)
        queries = [line.strip() for line in _lines(root / "name_query.txt") if line.strip()]
        self.lines = {name: row for row, name in enumerate(queries)}
        self.good, self.same_camera = (_lines(root / name) for name in (self.source, self.junk))
        for name, lines in ((self.source, self.good), (self.junk, self.same_camera)):
            if len(lines) < len(queries):
                raise UserError(f"{root / name} has {len(lines):,} lines for {len(queries):,} queries", "Unpack the whole data set.")

    def of(self, path: str) -> Known | None:
        line = self.lines.get(path.rpartition("/")[2])
        if line is None:
            return None
        return Known(self._listed(self.good[line], self.source), self._listed(self.same_camera[line], self.junk))

    def _listed(self, line: str, name: str) -> np.ndarray:
        words = line.split()
        if not all(word.isdecimal() for word in words):
            raise UserError(f"{self.root / name} holds the line {line[:80]!r}, which is no list of numbers", "Unpack the whole data set.")
        return _rows(np.array(words, dtype=np.int64), self.rows, self.root / name)


def _rows(listed: np.ndarray, rows: np.ndarray, file: Path) -> np.ndarray:
    """The gallery rows of indices that count from 1 in ``rows``; zeros are left out."""
    listed = np.unique(listed.astype(np.int64))
    listed = listed[listed != 0]
    if len(listed) and not 1 <= listed[0] <= listed[-1] <= len(rows):
        raise UserError(
            f"{file} names gallery image {listed[-1]:,} of a gallery of {len(rows):,}: these are not the images that it was made for",
            "Unpack the whole data set.",
        )
    return np.sort(rows[listed - 1])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}", "Unpack the whole data set.") from None
