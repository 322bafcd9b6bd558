"""Contact sheets and ranked lists: sizes, frames in their places, nothing stretched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.pictures import CAPTION, MARGIN, MAT, contact_sheet, encode, fit

TILE = (64, 32)


def _decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def _plain(colour: tuple[int, int, int], height: int = 64, width: int = 32) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def test_png_keeps_every_pixel_and_the_order_of_the_channels():
    picture = np.random.default_rng(0).integers(0, 256, (20, 10, 3), dtype=np.uint8)
    assert np.array_equal(_decoded(encode(picture)), picture)


def test_jpeg_quality_sets_the_size():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode(picture, "jpg", quality=20)) < len(encode(picture, "jpg", quality=95))


def test_other_formats_are_refused():
    with pytest.raises(UserError, match="png or jpg"):
        encode(_plain((0, 0, 0)), "gif")


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(ValueError, match="uint8"):
        encode(bad)


def test_fit_keeps_the_shape():
    wide = fit(_plain((200, 0, 0), 20, 40), TILE)
    red = (wide == (200, 0, 0)).all(axis=2)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert (len(rows), len(columns)) == (16, 32)
    assert rows[0] == 64 - 1 - rows[-1], "in the middle"
    assert tuple(wide[0, 0]) == MAT


@pytest.mark.parametrize(("count", "columns", "shown"), [(5, 3, (2, 3)), (2, 8, (1, 2)), (6, 3, (2, 3))])
def test_contact_sheet_has_even_rows_and_columns(count, columns, shown):
    sheet = _decoded(contact_sheet([_plain((10, 90, 10))] * count, columns=columns, tile=TILE))
    rows, across = shown
    assert sheet.shape == (rows * (64 + MARGIN) + MARGIN, across * (32 + MARGIN) + MARGIN, 3)
    green = (sheet == (10, 90, 10)).all(axis=2)
    assert green.sum() == count * 64 * 32
    assert green[MARGIN, MARGIN] and not green[:MARGIN].any() and not green[:, :MARGIN].any()


def test_captions_stand_below_their_own_image_and_stay_inside():
    images = [_plain((0, 0, 200))] * 2
    sheet = _decoded(contact_sheet(images, columns=2, captions=["a much too long caption", ""], tile=TILE))
    below = sheet[MARGIN + 64 : MARGIN + 64 + CAPTION] < 128
    inked = np.flatnonzero(below.any(axis=(0, 2)))
    assert inked.size, "the first caption is written"
    assert inked.min() >= MARGIN and inked.max() < MARGIN + 32
    assert sheet.shape[0] == 64 + CAPTION + 2 * MARGIN


def test_a_caption_is_one_line_whatever_it_holds():
    one, spelled_out = (contact_sheet([_plain((0, 0, 200))], captions=[text], tile=TILE) for text in ("a\nb", r"a\x0ab"))
    assert one == spelled_out


def test_as_many_captions_as_images():
    with pytest.raises(ValueError, match="2 images, but 1 captions"):
        contact_sheet([_plain((0, 0, 0))] * 2, captions=["one"])


def test_an_empty_sheet_is_a_picture():
    assert _decoded(contact_sheet([])).size
