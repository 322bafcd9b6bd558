"""Contact sheets (uint8 RGB arrays in, PNG bytes out), and the colours of the frames in ranked lists."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .errors import UserError, shown

Frame = Literal["match", "mistake", "distractor", "plain"]

FRAMES: dict[str, tuple[int, int, int]] = {
    "match": (34, 150, 62),
    "mistake": (208, 44, 40),
    "distractor": (136, 140, 146),
    "plain": (255, 255, 255),
}
"""Colours of the frames in a ranked list: green is right, red is wrong, grey is a distractor, which is right for no query."""

PAPER = (255, 255, 255)
INK = (38, 42, 48)
MAT = (238, 240, 242)
MARGIN = 8
CAPTION = 16
LETTERS = 11
SMALLEST = 9
"""Letters of captions are ``LETTERS`` pixels high; those of long captions shrink down to ``SMALLEST``."""


def encode(picture: np.ndarray, format: str = "png", quality: int = 90) -> bytes:
    """Bytes of an image file.

    Args:
        picture: uint8 ``(H, W, 3)``, RGB.
        format: ``png`` or ``jpg``.
        quality: 1 to 100, of a JPEG.

    Raises:
        UserError: another format.
    """
    if format not in ("png", "jpg"):
        raise UserError(f"pictures cannot be written as {format!r}", "Choose png or jpg.")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if format == "jpg" else []
    _, data = cv2.imencode(f".{format}", np.ascontiguousarray(_checked(picture)[..., ::-1]), options)
    return data.tobytes()


def fit(picture: np.ndarray, tile: tuple[int, int]) -> np.ndarray:
    """The picture in the middle of a tile ``(height, width)``, as large as fits, with its aspect ratio kept.

    Returns:
        uint8 ``(*tile, 3)``; the space around the picture is light grey.
    """
    height, width = tile
    scale = min(height / picture.shape[0], width / picture.shape[1])
    high, wide = (max(1, round(length * scale)) for length in _checked(picture).shape[:2])
    sheet = np.full((height, width, 3), MAT, dtype=np.uint8)
    top, left = (height - high) // 2, (width - wide) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    sheet[top : top + high, left : left + wide] = cv2.resize(picture, (wide, high), interpolation=way)
    return sheet


def contact_sheet(
    images: Sequence[np.ndarray],
    columns: int = 8,
    captions: Sequence[str] | None = None,
    tile: tuple[int, int] = (192, 96),
) -> bytes:
    """A sheet of images in rows.

    Args:
        images: uint8 ``(H, W, 3)`` each, RGB, of any sizes; none is stretched.
        columns: images per row.
        captions: a short text below each image; one that is too long for its tile is cut and ends in dots.
        tile: height and width in pixels that each image gets.

    Returns:
        a PNG.
    """
    _same_length("captions", captions, images)
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    step = tile[0] + MARGIN + (CAPTION if captions is not None else 0), tile[1] + MARGIN
    sheet = _paper(rows * step[0] + MARGIN, columns * step[1] + MARGIN)
    for number, image in enumerate(images):
        top, left = MARGIN + number // columns * step[0], MARGIN + number % columns * step[1]
        sheet[top : top + tile[0], left : left + tile[1]] = fit(image, tile)
        if captions is not None:
            _write(sheet, captions[number], left, top + tile[0], tile[1])
    return encode(sheet)


def _write(sheet: np.ndarray, text: str, left: int, top: int, width: int) -> None:
    """Puts ``text`` in the middle of the strip of height ``CAPTION`` below a tile."""
    text = shown(str(text))  # text with a line break in it cannot be measured
    size = LETTERS
    while text and (wide := _font(size).getlength(text)) > width:
        if size > SMALLEST:
            size -= 1
        else:
            text = text.removesuffix("..")[:-1].rstrip() + ".." if len(text) > 3 else ""
    if text:
        strip = Image.fromarray(sheet[top : top + CAPTION, left : left + width])
        ImageDraw.Draw(strip).text(((width - wide) / 2, CAPTION / 2), text, fill=INK, font=_font(size), anchor="lm")
        sheet[top : top + CAPTION, left : left + width] = np.asarray(strip)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # The font that comes with matplotlib, found without importing it: OpenCV's own fonts have no letters beyond ASCII.
    package = importlib.util.find_spec("matplotlib")
    assert package is not None and package.origin is not None
    return ImageFont.truetype(str(Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _paper(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), PAPER, dtype=np.uint8)


def _same_length(name: str, values: Sequence[object] | None, images: Sequence[np.ndarray]) -> None:
    if values is not None and len(values) != len(images):
        raise ValueError(f"{len(images)} images, but {len(values)} {name}")


def _checked(picture: np.ndarray) -> np.ndarray:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"a picture is uint8 (H, W, 3), not {picture.dtype} {picture.shape}")
    return picture
