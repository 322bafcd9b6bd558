"""Finds small files of few pixels that still take minutes or gigabytes to decode: JPEGs with endless scans, TIFFs with tiles far larger than the image."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""A JPEG's markers that are followed by a length, and its end marker. The others have nothing to follow (restarts), or belong to the pixel data."""
_END = b"\xd9"
_MCU = 32
"""Width and height in pixels of the largest unit that a JPEG is coded in; each scan passes over whole units."""

_SIDES = (256, 257, 322, 323)
"""A TIFF's tags for width and height: first of the image as stored, then of a tile."""
_KINDS = {b"II*\0": ("<", False), b"II\0*": ("<", False), b"MM\0*": (">", False), b"MM*\0": (">", False), b"II+\0": ("<", True)}
"""The first bytes of a TIFF to its byte order, and whether it is a BigTIFF. A big-endian BigTIFF is left out: Pillow takes it for a common TIFF, libtiff for what it is."""
_NUMBERS = {3: "H", 4: "I", 16: "Q"}
"""A TIFF's types of whole numbers, as ``struct`` calls them."""


def scans(data: bytes, width: int, height: int, most: int) -> int:
    """The number of scans, each a pass over the whole image, of a JPEG that takes more than ``most`` pixels to decode; else 0.

    A progressive file refines the image scan by scan. A scan that changes nothing takes some ten bytes, and as much time as any other.

    Args:
        data: the file; 0 is returned for another kind than JPEG.
        width, height: of the image in pixels.
        most: pixels, counted anew in each scan.
    """
    pixels = _whole(width, _MCU) * _whole(height, _MCU)
    # A quick upper bound: all scan markers in the file, whatever they belong to. So ordinary files are never walked through.
    if not data.startswith(b"\xff\xd8\xff") or data.count(_SCAN) * pixels <= most:
        return 0
    found = _walk(data)
    return found if found * pixels > most else 0


def _walk(data: bytes) -> int:
    """Counts the scans of the first image, as libjpeg does: thumbnails lie within segments, and what phones append (films, more images) lies behind its end."""
    position = found = 0
    while (marker := _MARKER.search(data, position)) is not None and marker[1] != _END:
        found += marker[0] == _SCAN
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return found


def tiled_pixels(data: IO[bytes]) -> int:
    """Pixels that decoding a TIFF unpacks: those of all tiles, which are unpacked whole however little of them the image covers; with strips, those of the image.

    Args:
        data: the file, seekable.

    Raises:
        ValueError, struct.error: the file is of an unknown kind, the size of image or tiles is no whole number, or the file ends within its tags.
    """
    sides: dict[int, int] = {}
    for order, tag, kind, value in _tags(data):
        if tag in _SIDES:
            if kind not in _NUMBERS:
                raise ValueError("the size of the image or of its tiles is no whole number")
            # Where a tag comes twice, some readers take the first and others the last; the larger one counts.
            sides[tag] = max(sides.get(tag, 1), struct.unpack_from(order + _NUMBERS[kind], value)[0])
    width, height, across, down = (sides.get(tag, 1) for tag in _SIDES)
    return _whole(width, across) * _whole(height, down)


def _tags(data: IO[bytes]) -> Iterator[tuple[str, int, int, bytes]]:
    """Byte order, tag, type and value of each entry of a TIFF's first image. They are read here because Pillow skips types that libtiff, which decodes, reads."""
    data.seek(0)
    head = data.read(16)
    if head[:4] not in _KINDS:
        raise ValueError("a TIFF of a kind that is not known here")
    order, big = _KINDS[head[:4]]
    data.seek(struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0])
    (count,) = struct.unpack(order + ("Q" if big else "H"), data.read(8 if big else 2))
    for _ in range(count):
        tag, kind, _, value = struct.unpack(order + ("HHQ8s" if big else "HHI4s"), data.read(20 if big else 12))
        yield order, tag, kind, value


def _whole(length: int, unit: int) -> int:
    """``length`` rounded up to whole units."""
    return -(-length // unit) * unit
