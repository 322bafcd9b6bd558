"""A user's own images listed in a CSV file with the columns path, label, camera and split."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from .labels import as_number, numbered, split_of, whole
from .records import ReIDData

COLUMNS = ("path", "label", "camera", "split")
SPLITS = ("train", "query", "gallery", "multi_query")
LAYOUT = (
    "Wanted: a header line path,label,camera,split and then lines such as images/001.jpg,anna,1,train (splits: "
    "train, query, gallery, multi_query)."
)


def read_csv(root: Path) -> ReIDData:
    """The images that a CSV file lists; relative paths are relative to the file.

    Labels that are words are numbered from 1 over all splits together (``labels.numbered``), and so are cameras.

    Raises:
        UserError: no such file, a missing column, an empty split; or, with its line number, a missing image, an empty
            field, an unknown split.
    """
    path = Path(root)
    if path.is_dir():
        raise UserError(
            f"{path} is a folder, and the data set csv is read from a file", "Name it: --data_root FILE.csv"
        )
    lines, rows = _rows(path)
    labels, names = _numbered(path, [row["label"] for row in rows])
    cameras = _cameras([row["camera"] for row in rows])
    splits = {}
    for split in SPLITS:
        members = [number for number, row in enumerate(rows) if row["split"] == split]
        if not members and split == "multi_query":
            continue
        made = split_of(
            split,
            path.parent,
            [(rows[n]["path"], int(labels[n]), int(cameras[n])) for n in members],
            f"no line of {path} says {split}. {LAYOUT}",
        )
        _check_unique(path, split, members, rows, lines)
        splits[split] = dataclasses.replace(made, label_names=names)
    return ReIDData("csv", **splits)


def _rows(path: Path) -> tuple[list[int], list[dict[str, str]]]:
    """Line numbers, and the fields of each line."""
    lines, rows = [], []
    try:
        # utf-8-sig: spreadsheets put a byte order mark in front.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_header(path, reader.fieldnames or [])
            reader.fieldnames = [(name or "").strip().lower() for name in reader.fieldnames or []]
            for row in reader:
                fields = {column: (row[column] or "").strip() for column in COLUMNS}
                _check_row(path, reader.line_num, fields)
                lines.append(reader.line_num)
                rows.append(fields)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}", f"Name it with --data_root FILE.csv. {LAYOUT}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not readable as CSV in UTF-8: {error}", LAYOUT) from None
    if not rows:
        raise UserError(f"{path} lists no images", LAYOUT)
    return lines, rows


def _check_header(path: Path, header: Sequence[str]) -> None:
    there = [(name or "").strip().lower() for name in header]
    missing = [column for column in COLUMNS if column not in there]
    if missing and len(there) == 1 and re.search("[;\t]", there[0]):
        raise UserError(
            f"{path} has {'semicolons' if ';' in there[0] else 'tabs'} between its columns", "Save it with commas."
        )
    if missing:
        raise UserError(
            f"{path} has no column {' and no column '.join(missing)} (it has: {', '.join(there) or 'none'})", LAYOUT
        )


def _check_row(path: Path, line: int, fields: dict[str, str]) -> None:
    empty = [column for column in COLUMNS if not fields[column]]
    if empty:
        hint = "Without cameras, write 0 in every line." if empty == ["camera"] else LAYOUT
        raise UserError(f"{path}, line {line}: {' and '.join(empty)} empty", hint)
    if fields["split"] not in SPLITS:
        raise UserError(f"{path}, line {line}: there is no split {fields['split']!r}", f"Splits: {', '.join(SPLITS)}.")
    if not os.path.isfile(path.parent / fields["path"]):  # pathlib would raise an error for a name that no file can have
        raise UserError(
            f"{path}, line {line}: there is no file {path.parent / fields['path']}",
            "Paths are relative to the CSV file.",
        )


def _check_unique(path: Path, split: str, members: list[int], rows: list[dict[str, str]], lines: list[int]) -> None:
    first: dict[str, int] = {}
    for number in members:
        earlier = first.setdefault(os.path.normpath(path.parent / rows[number]["path"]), number)
        if earlier != number:
            raise UserError(
                f"{path}, line {lines[number]}: {rows[number]['path']} is in {split} already (line {lines[earlier]})",
                "List an image once a split.",
            )


def _numbered(path: Path, words: list[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    try:
        return numbered(words)
    except UserError as error:
        raise UserError(f"{path}: {error.message}", error.hint) from None


def _cameras(words: list[str]) -> np.ndarray:
    """Whole numbers as they are; words numbered from 1 in natural order."""
    if all(re.fullmatch(r"\d+", word, re.ASCII) for word in words):
        return whole([as_number(word) for word in words], "camera")
    return numbered([f"camera {word}" for word in words])[0]
