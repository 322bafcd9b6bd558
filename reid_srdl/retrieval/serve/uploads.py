"""Decodes uploads: only the kinds of image that browsers send, and only up to a number of pixels."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ...data.decoding import FORMATS, UnreadableImage, stored_pixels
from ...data.images import decode_alone
from .refused import Refused

NAME = Path("upload")
"""Stands for an upload in messages; the name that the client sent is never used."""

MAX_PIXELS = 20_000_000
"""Pixels of an upload at most. A crop of a person has some ten thousand; while it is decoded, each takes several bytes, more than once."""

_HINT = f"Send a whole image ({', '.join(FORMATS)})."


def decode(data: bytes, size: tuple[int, int], crop: str) -> np.ndarray:
    """An upload decoded as ``Trained.embed`` decodes a file of the same bytes: uint8 RGB ``(H, W, 3)``.

    Args:
        data: the bytes.
        size: (height, width) of the network's input.
        crop: how images were cropped in the network's training.

    Raises:
        Refused: 413 for too many pixels, seen before anything is decoded; 422 for what is no whole image.
    """
    check(data)
    try:
        return decode_alone(data, NAME, size, crop)
    except UnreadableImage as error:
        raise Refused(422, f"the upload cannot be read: {error.why}", _HINT) from None


def check(data: bytes) -> None:
    """Raises as ``decode`` does, from the image's header alone."""
    if not data:
        raise Refused(422, "the upload is empty (0 bytes)", _HINT)
    try:
        with Image.open(stream := io.BytesIO(data), formats=FORMATS) as opened:
            pixels = stored_pixels(opened, stream)
    except Image.DecompressionBombError:
        raise _large() from None
    except UnidentifiedImageError:
        raise Refused(422, "the upload is no image that is known here", _HINT) from None
    except (OSError, ValueError, SyntaxError, struct.error) as error:
        raise Refused(422, f"the upload cannot be read ({error})", _HINT) from None
    if pixels > MAX_PIXELS:
        raise _large()


def _large() -> Refused:
    return Refused(413, f"the upload has more than {MAX_PIXELS:,} pixels", "Cut the person out, or make the image smaller.")
