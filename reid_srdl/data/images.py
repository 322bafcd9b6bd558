"""Decoded images as uint8 batches, from memory or streamed from disk.

A source has one storage size: that of the files where they are all alike, else the size the network is trained at. One
function decodes a file to it, so memory and stream hand out the same bytes. Resizing to the training size comes
later, in batches on the device; only crops (``crops``) are made at decoding, and to the training size.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol

import cv2
import numpy as np
import torch
from PIL import ExifTags, Image

from ..errors import UserError
from . import bombs, crops

MAX_PIXELS = 50_000_000
MAX_SCANNED = 20 * MAX_PIXELS
"""Pixels of all scans of a JPEG together, which take seconds: libjpeg writes 10 scans of a progressive photograph, and 18 of one in CMYK."""
MAX_BYTES = 200 << 20
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
"""Of files with these suffixes (JPEG is several pictures in one too, as phones write it), whatever a file is called: others' readers run programs (EPS), or have not been looked at here."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF's orientation to what turns an image upright; from 5 on height and width change places."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})

# Decoding runs in threads of ours, one image each; OpenCV's own threads would only fight with them and with torch's.
cv2.setNumThreads(0)


class ImageSource(Protocol):
    """Images by index. ``size`` is the storage size (height, width) in pixels."""

    size: tuple[int, int]

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int], epoch: int = 0, stage: int = 0) -> torch.Tensor:
        """uint8 ``(B, 3, H, W)``, RGB; what is random is so by stage and epoch. Raises ``UserError`` with the path of a bad image."""
        ...


def _unreadable(file: Path, why: str) -> UserError:
    return UserError(f"cannot read image {file}: {why}", "Replace or remove it (the command data check lists all such images; train leaves them out with --skip_corrupt).")


def _orientation(opened: Image.Image) -> int:
    """EXIF's, from the header: Pillow would decode a whole PNG to look for it behind the pixels, and turns a TIFF upright itself."""
    if "exif" not in opened.info or opened.format == "TIFF":
        return 1
    try:
        found = opened.getexif().get(ExifTags.Base.Orientation, 1)
        return found if found in _TURNS else 1
    except Exception:  # what others wrote into EXIF makes Pillow raise nearly anything, and is no reason to lose the image
        return 1


def _header(file: Path, data: IO[bytes]) -> tuple[int, int]:
    """(height, width) from the header alone, so that a bomb is refused before it is decoded."""
    try:
        with Image.open(data, formats=_FORMATS) as opened:
            width, height = opened.size
            if _orientation(opened) >= 5:
                width, height = height, width
            stored = stored_pixels(opened, data)
    except Exception as error:  # a broken file makes Pillow raise nearly anything
        raise _unreadable(file, str(error).split("<")[0].strip() or "no image that is known here") from None
    if width * height > MAX_PIXELS:
        raise _unreadable(file, f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    if stored > MAX_PIXELS:
        raise _unreadable(file, f"the {stored:,} pixels of its tiles are more than {MAX_PIXELS:,}")
    return height, width


def stored_pixels(opened: Image.Image, data: IO[bytes]) -> int:
    """Pixels that decoding makes: those of the image or, in a TIFF, of its tiles.

    Args:
        opened: the image, of which nothing but the header was read.
        data: what it was opened from.
    """
    return bombs.tiled_pixels(data) if opened.format == "TIFF" else opened.size[0] * opened.size[1]


def _eight_bits(picture: Image.Image, file: Path) -> Image.Image:
    """16-bit grey as 8-bit; Pillow's own conversion would cut all that is brighter than 255 off."""
    if picture.mode == "F":
        raise _unreadable(file, "its pixels are floating-point numbers, of which nobody knows the white")
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise _unreadable(file, "its pixels are 32-bit numbers, of which nobody knows the white")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _bytes(file: Path) -> bytes:
    with _opened(file) as opened:
        return opened.read()


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    try:
        size = os.stat(file).st_size
        if size == 0:
            raise _unreadable(file, "it is empty (0 bytes)")
        if size > MAX_BYTES:
            raise _unreadable(file, f"it is larger than {MAX_BYTES >> 20} MiB")
        with open(file, "rb") as opened:
            yield opened
    except FileNotFoundError:
        raise UserError(f"there is no image {file}", "Its name is wrong, or it has gone; of a whole data set, the command data check lists what is missing.") from None
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from None
    except ValueError as error:  # a NUL in its name
        raise _unreadable(file, str(error)) from None


def image_size(file: Path) -> tuple[int, int]:
    """(height, width) in pixels, from the header, which is all that is read."""
    with _opened(Path(file)) as opened:
        return _header(Path(file), opened)


def decode_bytes(data: bytes, name: Path, size: tuple[int, int] | None = None, crop: crops.Crop | None = None) -> np.ndarray:
    """An encoded image as uint8 RGB ``(H, W, 3)``, upright by its EXIF data; ``crop`` takes a part of it, or else ``size`` (height, width) resizes it.

    Raises:
        UserError: no image, a truncated one, or more pixels than ``MAX_PIXELS``, or than ``MAX_SCANNED`` in all scans; ``name`` stands for it in the message.
    """
    if not data:
        raise _unreadable(name, "it is empty (0 bytes)")
    height, width = _header(name, io.BytesIO(data))
    if scans := bombs.scans(data, width, height, MAX_SCANNED):
        raise _unreadable(name, f"{scans:,} scans of {width} x {height} pixels are more than {MAX_SCANNED:,}")
    try:
        # Pillow, unlike OpenCV, refuses a truncated JPEG instead of filling it with grey.
        with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
            return _fitted(_upright(opened, name), size, crop)
    except UserError:
        raise
    except Exception as error:  # as above
        raise _unreadable(name, str(error) or type(error).__name__) from None


def _upright(opened: Image.Image, name: Path) -> Image.Image:
    """By its EXIF data, as 8-bit RGB."""
    turn = _TURNS.get(_orientation(opened))
    opened.load()
    return _eight_bits(opened if turn is None else opened.transpose(turn), name).convert("RGB")


def _fitted(picture: Image.Image, size: tuple[int, int] | None, crop: crops.Crop | None) -> np.ndarray:
    """uint8 ``(H, W, 3)``."""
    if crop is not None:
        picture = crop(picture)
    elif size is not None and picture.size != (size[1], size[0]):
        # As ``augment.resized`` does it on the device, to within a rounding: so an image is embedded alike, whatever others it lies among.
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def decode(file: Path, size: tuple[int, int] | None = None, crop: crops.Crop | None = None) -> np.ndarray:
    """A file as uint8 RGB ``(H, W, 3)``; see ``decode_bytes``."""
    return decode_bytes(_bytes(Path(file)), Path(file), size, crop)


def decode_alone(data: bytes, name: Path, size: tuple[int, int], crop: str = "none") -> np.ndarray:
    """An encoded image that no file holds, as ``open_source`` stores a file of its own: uint8 RGB ``(H, W, 3)``.

    Args:
        data: the bytes of an image file.
        name: stands for it in messages.
        size: (height, width) that the network is trained at.
        crop: ``imagenet`` takes the centre of the image, ``none`` all of it.

    Raises:
        UserError: as ``decode_bytes``.
    """
    clean = crops.clean(crop, size)
    if clean is not None:
        return decode_bytes(data, name, size, clean)
    own = _header(name, io.BytesIO(data)) if data else size
    return decode_bytes(data, name, size if is_large(own, size) else own)


Cropping = Callable[[int, int, int], crops.Crop]
"""The crop for a stage, an epoch of it and the index of an image."""


class StreamedImages:
    """Decodes on demand in threads; nothing is kept."""

    def __init__(self, files: Sequence[Path], size: tuple[int, int], workers: int = 2, cropping: Cropping | None = None) -> None:
        self.files = list(files)
        self.size = size
        self.cropping = cropping
        self._pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self.files)

    def batch(self, indices: Sequence[int], epoch: int = 0, stage: int = 0) -> torch.Tensor:
        def image(index: int) -> np.ndarray:
            crop = None if self.cropping is None else self.cropping(stage, epoch, int(index))
            return decode(self.files[index], self.size, crop)

        return _channels_first(np.stack(list(self._pool.map(image, indices))))


class MemoryImages:
    """All images as one uint8 tensor, on the CPU or on the training device."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images = images
        self.size = (images.shape[2], images.shape[3])

    @staticmethod
    def of(images: np.ndarray) -> MemoryImages:
        """From decoded images, uint8 ``(N, H, W, 3)``."""
        return MemoryImages(_channels_first(images))

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Sequence[int], epoch: int = 0, stage: int = 0) -> torch.Tensor:
        return self.images[torch.as_tensor(indices, device=self.images.device)]


Picture = Image.Image | np.ndarray
"""An image that is decoded already: Pillow's, or uint8 ``(H, W, 3)`` in RGB."""


class GivenImages:
    """Pictures in memory, of any sizes, as they are seen where nothing is augmented.

    Args:
        pictures: N pictures.
        size: (height, width) that the network is trained at.
        crop: ``imagenet`` takes the centre of each, ``none`` all of it.

    Raises:
        UserError: there are none, or one is no picture; it is named by its place, counted from 0.
    """

    def __init__(self, pictures: Sequence[Picture], size: tuple[int, int], crop: str = "none") -> None:
        if not len(pictures):
            raise UserError("there are no images", "Hand in one or more.")
        self._pictures = [_of_memory(picture, place) for place, picture in enumerate(pictures)]
        self.size, self._crop = size, crops.clean(crop, size)

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(self, indices: Sequence[int], epoch: int = 0, stage: int = 0) -> torch.Tensor:
        return _channels_first(np.stack([_fitted(self._pictures[index], self.size, self._crop) for index in indices]))


def _of_memory(picture: Picture, place: int) -> Image.Image:
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size:
        return Image.fromarray(picture)
    if not isinstance(picture, Image.Image):
        what = f"an array of shape {picture.shape} and type {picture.dtype}" if isinstance(picture, np.ndarray) else f"of type {type(picture).__name__}"
        raise UserError(f"image {place} is {what}", "Hand in paths, pictures of Pillow, or arrays uint8 (height, width, 3) in RGB (of OpenCV's: picture[..., ::-1]).")
    return _upright(picture, Path(f"image {place}"))


def _channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def storage_size(files: Sequence[Path], training_size: tuple[int, int]) -> tuple[int, int]:
    """The files' own size where they are all alike and not larger than the training size allows for, else the latter."""
    first = image_size(files[0])
    if is_large(first, training_size):
        return training_size
    return first if all(image_size(file) == first for file in files) else training_size


def is_large(own: tuple[int, int], training_size: tuple[int, int]) -> bool:
    """Whether images of their own size would take far more memory than of the training size."""
    return own[0] * own[1] > 4 * training_size[0] * training_size[1]


def unreadable(files: Sequence[Path], *, workers: int = 2) -> dict[Path, str]:
    """The images that cannot be decoded, each with its reason."""

    def reason(file: Path) -> str | None:
        try:
            decode(file)
        except UserError as error:
            return error.message
        return None

    with ThreadPoolExecutor(max(1, workers)) as pool:
        return {file: why for file, why in zip(files, pool.map(reason, files), strict=True) if why}


def open_source(
    files: Sequence[Path],
    size: tuple[int, int],
    *,
    memory_gb: float = 4.0,
    workers: int = 2,
    device: torch.device | str = "cpu",
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
    crop: str = "none",
    seed: int | None = None,
) -> ImageSource:
    """Images in memory where they fit, else a stream; random crops are always a stream.

    Args:
        files: N image files.
        size: (height, width) that the network is trained at.
        memory_gb: GiB that decoded images may take.
        workers: threads that decode.
        device: where images in memory live.
        track: wraps the iteration over images, for a progress bar.
        crop: ``imagenet`` takes the centre of each image, or a random part where there is a ``seed``; ``none`` takes whole images.
        seed: of the run, to train on random crops.

    Raises:
        UserError: no files, or an unreadable one (in memory at once; streamed, when it is met).
    """
    if not files:
        raise UserError("there are no images", "The command data check says what is wrong with a data set.")
    files = [Path(file) for file in files]
    if crop != "none" and seed is not None:
        return StreamedImages(files, size, workers, functools.partial(crops.random_resized, size, seed))
    clean = crops.clean(crop, size)
    stored = storage_size(files, size) if clean is None else size
    if len(files) * stored[0] * stored[1] * 3 > memory_gb * 2**30:
        return StreamedImages(files, stored, workers, None if clean is None else lambda stage, epoch, index: clean)
    images = np.empty((len(files), 3, *stored), dtype=np.uint8)  # as it stays: a copy in another order would take as much again
    with ThreadPoolExecutor(max(1, workers)) as pool:
        decoded = pool.map(lambda file: decode(file, stored, clean), files)
        for index in track(range(len(files))):
            images[index] = next(decoded).transpose(2, 0, 1)
    return MemoryImages(torch.from_numpy(images).to(_where(images.nbytes, torch.device(device))))


def _where(size: int, device: torch.device) -> torch.device:
    """The device for so many bytes of images, or the CPU where they would take more than a quarter of what a GPU has left to train in."""
    return torch.device("cpu") if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 4 else device
