"""Small files that take minutes or gigabytes to decode."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import bombs, decoding
from reid_srdl.errors import UserError


def jpeg(size=(64, 48), mode="RGB", **how) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, "JPEG", **how)
    return stream.getvalue()


def of_scans(more: int, **how) -> bytes:
    """A progressive JPEG with its last scan so many times more."""
    whole = jpeg(progressive=True, **how)
    begin = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[begin:-2] * more + whole[-2:]


def test_scans_are_counted_where_they_may_be_too_many():
    pixels = 64 * 64  # whole units of 32
    for data, found in ((jpeg(), 1), (jpeg(progressive=True), 10), (jpeg(mode="CMYK", progressive=True), 18), (of_scans(500), 510)):
        assert Image.open(io.BytesIO(data)).load()
        assert bombs.scans(data, 64, 48, found * pixels - 1) == found and bombs.scans(data, 64, 48, found * pixels) == 0
    assert bombs.scans(b"\x89PNG" + b"\xff\xda" * 1000, 64, 48, 1) == 0


def test_a_unit_is_decoded_whole_however_narrow_the_image_is():
    assert bombs.scans(of_scans(90, size=(1, 64)), 1, 64, 100 * 32 * 64 - 1) == 100


def test_only_scans_of_the_first_image_count():
    """Thumbnails lie within a segment, and films and further images behind the end."""
    whole, other = jpeg(progressive=True), of_scans(500)
    segment = b"\xff\xe1" + struct.pack(">H", len(other) + 2) + other
    fill, restart = b"\xff\xff\xff\xfe\x00\x04\xff\xda", b"\xff\xd0"
    assert len(other) < 0xFFF0
    photo = whole[:2] + segment + fill + whole[2:-2] + restart + whole[-2:] + other + b"\xff\xda" * 1000
    assert Image.open(io.BytesIO(photo)).load()
    assert bombs.scans(photo, 64, 48, 1) == 10


@pytest.mark.parametrize("cut", [3, 4, 5, 100])
def test_a_jpeg_that_ends_early_has_the_scans_until_then(cut):
    assert bombs.scans(jpeg(progressive=True)[:cut] + b"\xff\xda", 64, 48, 1) <= 1


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(of_scans(500))
    (tmp_path / "b.jpg").write_bytes(jpeg(progressive=True))
    monkeypatch.setattr(decoding, "MAX_SCANNED", 20 * 64 * 64)
    assert decoding.decode(tmp_path / "b.jpg").shape == (48, 64, 3)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"cannot read image .*a\.jpg: 510 scans of 64 x 48 pixels are more than 81,920"):
        decoding.decode(tmp_path / "a.jpg")
    assert decoding.image_size(tmp_path / "a.jpg") == (48, 64), "by its header, whatever follows"


def test_large_progressive_photographs_are_no_bombs():
    """libjpeg writes 10 scans, and 18 of CMYK."""
    width, height = 8_000, 6_250
    assert width * height == decoding.MAX_PIXELS
    assert bombs.scans(b"\xff\xd8\xff" + 18 * bombs._SCAN, width, height, decoding.MAX_SCANNED) == 0


def tiff(size=(16, 32), tile=(16, 32), big=False, order="<", before=(), kind=4) -> bytes:
    """A TIFF of one black tile, deflated (of a large one as much as says what it is).

    Args:
        size, tile: (width, height) in pixels.
        big, order: BigTIFF; of bytes.
        before: tags (tag, kind, value) that come in front of its own.
        kind: of the sizes of tiles.
    """
    data = zlib.compress(bytes(min(tile[0] * tile[1], 65_536)), 9)
    tags = [(256, 4, size[0]), (257, 4, size[1]), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, kind, tile[0]), (323, kind, tile[1]), (324, 4, 0), (325, 4, len(data))]
    tags = sorted([*before, *tags], key=lambda each: each[0])
    wide, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    head = (b"II" if order == "<" else b"MM") + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    place = len(head) + struct.calcsize(order + count) + len(tags) * entry + struct.calcsize(order + wide)
    made = head + struct.pack(order + count, len(tags))
    for tag, kind, value in tags:
        packed = struct.pack(order + {3: "H", 4: "I", 9: "i", 16: "Q", 17: "q"}[kind], place if tag == 324 else value)
        made += struct.pack(order + "HH" + wide, tag, kind, 1) + packed.ljust(8 if big else 4, b"\0")
    return made + struct.pack(order + wide, 0) + data


@pytest.mark.parametrize(("big", "order"), [(False, "<"), (False, ">"), (True, "<")])
def test_the_pixels_of_tiles_are_those_of_whole_ones(big, order):
    for size, tile, pixels in (((16, 32), (16, 32), 16 * 32), ((17, 33), (16, 32), 32 * 64), ((16, 32), (1024, 4096), 1024 * 4096), ((3200, 1), (16, 1600), 3200 * 1600)):
        assert bombs.tiled_pixels(io.BytesIO(tiff(size, tile, big, order))) == pixels
    assert decoding.decode_bytes(tiff(big=big, order=order), "a").shape == (32, 16, 3)


def test_strips_are_cut_to_the_image(tmp_path):
    image = Image.fromarray(np.arange(20 * 30, dtype=np.uint16).astype(np.uint8).reshape(30, 20))
    for rows in (7, 30, 2**32 - 1):
        image.save(tmp_path / "a.tif", compression="tiff_deflate", tiffinfo={278: rows})
        with open(tmp_path / "a.tif", "rb") as opened:
            assert bombs.tiled_pixels(opened) == 600
        assert np.array_equal(decoding.decode(tmp_path / "a.tif")[..., 0], np.asarray(image))


@pytest.mark.parametrize(
    "data",
    [
        lambda: tiff(tile=(8192, 8192)),
        lambda: tiff(before=[(322, 4, 16_384), (323, 4, 16_384)]),
        lambda: tiff(before=[(322, 4, 16), (323, 4, 32)], tile=(8192, 8192)),
        lambda: tiff(size=(32_000, 1), tile=(16, 2000), before=[(274, 3, 6)]),
    ],
    ids=["huge", "said twice", "said twice, the other way round", "lying on its side"],
)
def test_a_tiff_of_huge_tiles_is_refused_before_it_is_decoded(data, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(UserError, match="cannot read image a: the [0-9,]+ pixels of its tiles are more than 50,000,000"):
        decoding.decode_bytes(data(), "a")


@pytest.mark.parametrize("kind", [9, 17])
def test_tiles_of_a_size_that_only_some_readers_know_are_refused(kind):
    with pytest.raises(UserError, match="cannot read image a: the size of the image or of its tiles is no whole number"):
        decoding.decode_bytes(tiff(tile=(64, 64), big=True, kind=kind), "a")
    with pytest.raises(ValueError, match="of a kind that is not known here"):
        bombs.tiled_pixels(io.BytesIO(tiff(big=True, order=">")))
