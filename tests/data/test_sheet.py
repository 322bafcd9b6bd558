"""The contact sheet of a data set."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
from PIL import Image

from reid_srdl.data import sheet
from reid_srdl.data.doctor import splits_of
from reid_srdl.data.pixels import Scan, scan
from reid_srdl.data.records import ReIDData, Split


def test_a_sheet_is_drawn_even_where_images_are_unreadable(people: ReIDData):
    splits = splits_of(people)
    seen = scan([file for split in splits for file in split.files])
    whole = Image.open(io.BytesIO(sheet.sheet(splits, seen)))
    assert whole.format == "PNG"
    none = Scan(seen.sizes, np.full_like(seen.groups, -1), {})
    assert Image.open(io.BytesIO(sheet.sheet(splits, none))).height < whole.height


def test_photographs_are_not_kept_whole(people: ReIDData, monkeypatch):
    """A large set of photographs would take gigabytes."""
    kept = []
    monkeypatch.setattr(sheet, "contact_sheet", lambda tiles, **how: kept.extend(tiles))
    monkeypatch.setattr(sheet, "decode", lambda file: np.zeros((900, 400, 3), dtype=np.uint8))
    sheet.sheet([people.query], Scan(np.zeros((len(people.query), 2)), np.arange(len(people.query)), {}), tile=(40, 20))
    assert {tile.shape for tile in kept} == {(40, 20, 3)}


def test_rows_show_people_with_images_of_several_cameras():
    labels = np.repeat([1, 2, 3, 4, 5, 6, 7, 0], 8)
    split = Split("gallery", Path("."), tuple(map(str, range(64))), labels, np.tile([1, 2, 3, 4], 16))
    readable = np.ones(64, dtype=bool)
    readable[split.labels == 7] = False
    rows = sheet._shown(split, readable)
    assert [len(row) for row in rows] == [12, 12, 12]
    assert [split.labels[row] for row in rows[0]] == [1] * 4 + [2] * 4 + [3] * 4
    assert [split.cameras[row] for row in rows[0][:4]] == [1, 2, 3, 4]
    assert rows[1][8:] == [None] * 4, "the seventh person cannot be read"
    assert all(row is None or split.labels[row] == 0 for row in rows[2])


def test_captions_name_cameras_where_there_are_some():
    split = Split("train", Path("."), ("a", "b"), np.array([1, 2]), np.array([0, 3]), ("cat", "dog"))
    assert sheet._caption(split, 1) == "train dog c3"
    assert sheet._caption(dataclasses.replace(split, cameras=np.zeros(2)), 1) == "train dog"
