"""One image from its file, its bytes or memory: upright 8-bit RGB, or a ``UserError`` that names it.

Files may come from strangers, so size, format and the cost of decoding are checked before anything is decoded.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import ExifTags, Image

from ..errors import UserError, shown
from . import bombs, crops

MAX_PIXELS = 50_000_000
MAX_SCANNED = 20 * MAX_PIXELS
"""The most pixels of all scans of a JPEG together, which take seconds: libjpeg writes a progressive photograph in 10 scans, and one in CMYK in 18."""
MAX_BYTES = 200 << 20
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Formats that are read, those of the suffixes below, whatever a file is called (JPEG may hold several pictures, as phones write it). Readers of other formats
run programs (EPS), or have not been examined here."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF's orientation to what turns an image upright; from 5 on height and width change places."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# Decoding runs in threads of ours, one image each; OpenCV's own threads would only fight with them and with torch's.
cv2.setNumThreads(0)


Picture = Image.Image | np.ndarray
"""An image that is decoded already: Pillow's, or uint8 ``(H, W, 3)`` in RGB."""


class UnreadableImage(UserError):
    """A file that cannot be read as an image.

    Args:
        file: its name.
        why: the reason, in words that do not repeat the name.
        message, hint: in place of the usual ones.
    """

    def __init__(
        self, file: Path, why: str, message: str = "",
        hint: str = "Replace or remove it (the command data check lists all such images; of those to train on, train leaves them out with --skip_corrupt).",
    ) -> None:  # fmt: skip
        super().__init__(message or f"cannot read image {file}: {why}", hint)
        self.file, self.why = file, shown(why)


def _orientation(opened: Image.Image) -> int:
    """EXIF's orientation where the header has it, else 1 (upright).

    To find one behind a PNG's pixels Pillow would decode all of it, and a TIFF it turns upright itself.
    """
    if "exif" not in opened.info or opened.format == "TIFF":
        return 1
    try:
        found = opened.getexif().get(ExifTags.Base.Orientation, 1)
        return found if found in _TURNS else 1
    except Exception:  # broken EXIF data makes Pillow raise nearly anything, and is no reason to reject the image
        return 1


def header(file: Path, data: IO[bytes]) -> tuple[int, int]:
    """(height, width) from the header alone, so that a bomb is refused before it is decoded."""
    try:
        with Image.open(data, formats=FORMATS) as opened:
            width, height = opened.size
            if _orientation(opened) >= 5:
                width, height = height, width
            stored = stored_pixels(opened, data)
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise UnreadableImage(file, str(error).split("<")[0].strip() or "no image that is known here") from None
    if width * height > MAX_PIXELS:
        raise UnreadableImage(file, f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    if stored > MAX_PIXELS:
        raise UnreadableImage(file, f"the {stored:,} pixels of its tiles are more than {MAX_PIXELS:,}")
    return height, width


def stored_pixels(opened: Image.Image, data: IO[bytes]) -> int:
    """Pixels that decoding makes: those of the image or, in a TIFF, of its tiles.

    Args:
        opened: the image, of which nothing but the header was read.
        data: what it was opened from.
    """
    return bombs.tiled_pixels(data) if opened.format == "TIFF" else opened.size[0] * opened.size[1]


def _eight_bits(picture: Image.Image, file: Path) -> Image.Image:
    """16-bit grey as 8-bit; Pillow's own conversion would clip all values above 255."""
    if picture.mode == "F":
        raise UnreadableImage(file, "its pixels are floating-point numbers, of which nobody knows the white")
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise UnreadableImage(file, "its pixels are 32-bit numbers, of which nobody knows the white")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _bytes(file: Path) -> bytes:
    with _opened(file) as opened:
        return opened.read()


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        size = os.stat(file).st_size
        if size == 0:
            raise UnreadableImage(file, "it is empty (0 bytes)")
        if size > MAX_BYTES:
            raise UnreadableImage(file, f"it is larger than {MAX_BYTES >> 20} MiB")
        with open(file, "rb") as opened:
            yield opened
    except FileNotFoundError:
        hint = "Its name is wrong, or it has gone; of a whole data set, the command data check lists what is missing."
        raise UnreadableImage(file, "it is not there", f"there is no image {file}", hint) from None
    except OSError as error:
        raise UnreadableImage(file, error.strerror or str(error)) from None
    except ValueError as error:  # a NUL in its name
        raise UnreadableImage(file, str(error)) from None


def image_size(file: Path) -> tuple[int, int]:
    """(height, width) in pixels, from the header, which is all that is read."""
    with _opened(Path(file)) as opened:
        return header(Path(file), opened)


def decode_bytes(data: bytes, name: Path, size: tuple[int, int] | None = None, crop: crops.Crop | None = None) -> np.ndarray:
    """An encoded image as uint8 RGB ``(H, W, 3)``, upright by its EXIF data; ``crop`` takes a part of it, or else ``size`` (height, width) resizes it.

    Raises:
        UnreadableImage: no image, a truncated one, or more pixels than ``MAX_PIXELS``, or than ``MAX_SCANNED`` in all scans; ``name`` stands for it in the message.
    """
    if not data:
        raise UnreadableImage(name, "it is empty (0 bytes)")
    height, width = header(name, io.BytesIO(data))
    if scans := bombs.scans(data, width, height, MAX_SCANNED):
        raise UnreadableImage(name, f"{scans:,} scans of {width} x {height} pixels are more than {MAX_SCANNED:,}")
    try:
        # Pillow, unlike OpenCV, refuses a truncated JPEG instead of filling it with grey.
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return fitted(_upright(opened, name), size, crop)
    except UserError:
        raise
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise UnreadableImage(name, str(error) or type(error).__name__) from None


def _upright(opened: Image.Image, name: Path) -> Image.Image:
    """The image turned upright by its EXIF data, as 8-bit RGB."""
    turn = _TURNS.get(_orientation(opened))
    opened.load()
    return _eight_bits(opened if turn is None else opened.transpose(turn), name).convert("RGB")


def fitted(picture: Image.Image, size: tuple[int, int] | None, crop: crops.Crop | None) -> np.ndarray:
    """The picture after ``crop``, or else resized to ``size`` (height, width), where one is given: uint8 ``(H, W, 3)``."""
    if crop is not None:
        picture = crop(picture)
    elif size is not None and picture.size != (size[1], size[0]):
        # Equal to ``augment.resized`` on the device, so that an image is embedded alike whatever the sizes of the others in its set.
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def decode(file: Path, size: tuple[int, int] | None = None, crop: crops.Crop | None = None) -> np.ndarray:
    """A file as uint8 RGB ``(H, W, 3)``; see ``decode_bytes``."""
    return decode_bytes(_bytes(Path(file)), Path(file), size, crop)


def of_memory(picture: Picture, place: int) -> Image.Image:
    """A picture as upright 8-bit RGB. Raises ``UserError`` for anything else, which it names by its place among the others."""
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size:
        return Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        what = f"an array of shape {picture.shape} and type {picture.dtype}" if isinstance(picture, np.ndarray) else f"of type {type(picture).__name__}"
        raise UserError(f"image {place} is {what}", "Hand in paths, pictures of Pillow, or arrays uint8 (height, width, 3) in RGB (of OpenCV's: picture[..., ::-1]).")
    return _upright(picture, Path(f"image {place}"))
