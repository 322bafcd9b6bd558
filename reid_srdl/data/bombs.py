"""Small files of few pixels that take minutes or gigabytes all the same: JPEGs of scans without end, TIFFs whose tiles are far larger than the image."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO

_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
"""Of a JPEG: those that a length follows, and the end. Of what is left out nothing follows (restarts), or the byte before was of the pixels."""
_END = b"\xd9"
_MCU = 32
"""Pixels of the widest and highest unit that a JPEG is coded in; each scan passes over whole ones."""

_SIDES = (256, 257, 322, 323)
"""A TIFF's tags of width and height: of the image as it lies in the file, and of a tile."""
_KINDS = {b"II*\0": ("<", False), b"II\0*": ("<", False), b"MM\0*": (">", False), b"MM*\0": (">", False), b"II+\0": ("<", True)}
"""What a TIFF begins with to its order of bytes, and whether it is a BigTIFF. One in the other order Pillow takes for a common TIFF, and libtiff for what it is."""
_NUMBERS = {3: "H", 4: "I", 16: "Q"}
"""A TIFF's kinds of whole numbers."""


def scans(data: bytes, width: int, height: int, most: int) -> int:
    """How often decoding a JPEG passes over the whole image, where that may come to more than ``most`` pixels; else 0.

    A progressive file refines the image scan by scan; one that changes nothing takes some ten bytes, and as long as any other.

    Args:
        data: the file; of another kind than JPEG there are none.
        width, height: of the image in pixels.
        most: pixels, counted anew in each scan.
    """
    pixels = _whole(width, _MCU) * _whole(height, _MCU)
    # The marks of all that is in the file are counted at once, whatever they belong to; ordinary files are never walked through.
    if not data.startswith(b"\xff\xd8\xff") or data.count(_SCAN) * pixels <= most:
        return 0
    found = _walk(data)
    return found if found * pixels > most else 0


def _walk(data: bytes) -> int:
    """Scans of the first image, in the steps of libjpeg: thumbnails lie within segments, and what phones append (films, further images) behind its end."""
    position = found = 0
    while (marker := _MARKER.search(data, position)) is not None and marker[1] != _END:
        found += marker[0] == _SCAN
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return found


def tiled_pixels(data: IO[bytes]) -> int:
    """Pixels of all tiles of a TIFF, which are unpacked whole however little of them the image takes; of the image where it has strips, which are cut to it.

    Args:
        data: the file, which may be read anywhere.

    Raises:
        ValueError, struct.error: it is of an unknown kind, the size of image or tiles is no whole number, or the file ends within its tags.
    """
    sides: dict[int, int] = {}
    for order, tag, kind, value in _tags(data):
        if tag in _SIDES:
            if kind not in _NUMBERS:
                raise ValueError("the size of the image or of its tiles is no whole number")
            # Of a tag that comes twice one reader takes the first and another one the last.
            sides[tag] = max(sides.get(tag, 1), struct.unpack_from(order + _NUMBERS[kind], value)[0])
    width, height, across, down = (sides.get(tag, 1) for tag in _SIDES)
    return _whole(width, across) * _whole(height, down)


def _tags(data: IO[bytes]) -> Iterator[tuple[str, int, int, bytes]]:
    """Order of bytes, tag, kind and value of each entry of a TIFF's first image, as they stand there: Pillow passes over kinds that libtiff, which decodes, reads."""
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
    """``length`` in whole units."""
    return -(-length // unit) * unit
