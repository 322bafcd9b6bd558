"""Decoded images as uint8 batches, from memory or streamed from disk.

A source has one storage size: that of the files where they are all alike, else the size the network is trained at. One
function decodes a file to it, so memory and stream hand out the same bytes. Resizing to the training size comes
later, in batches on the device; only crops (``crops``) are made at decoding, and to the training size.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ..errors import UserError
from . import crops
from .decoding import Picture, UnreadableImage, decode, decode_bytes, fitted, header, image_size, of_memory


class ImageSource(Protocol):
    """Images by index. ``size`` is the storage size (height, width) in pixels."""

    size: tuple[int, int]

    def __len__(self) -> int: ...

    def batch(self, indices: Sequence[int], stage: int = 0, epoch: int = 0) -> torch.Tensor:
        """uint8 ``(B, 3, H, W)``, RGB; random crops depend on stage and epoch. Raises ``UserError`` with the path of an image that cannot be read."""
        ...


def decode_alone(data: bytes, name: Path, size: tuple[int, int], crop: str = "none") -> np.ndarray:
    """Decodes an image that is in no file, as ``open_source`` would decode it from the only file of a set: uint8 RGB ``(H, W, 3)``.

    Args:
        data: the bytes of an image file.
        name: stands for it in messages.
        size: (height, width) that the network is trained at.
        crop: ``imagenet`` takes the centre of the image, ``none`` all of it.

    Raises:
        UnreadableImage: as ``decode_bytes``.
    """
    clean = crops.clean(crop, size)
    if clean is not None:
        return decode_bytes(data, name, size, clean)
    return decode_bytes(data, name, storage_size([header(name, io.BytesIO(data))] if data else [], size))


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

    def batch(self, indices: Sequence[int], stage: int = 0, epoch: int = 0) -> torch.Tensor:
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

    def batch(self, indices: Sequence[int], stage: int = 0, epoch: int = 0) -> torch.Tensor:
        return self.images[torch.as_tensor(indices, device=self.images.device)]


class GivenImages:
    """Pictures in memory, of any sizes, without augmentation.

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
        self._pictures = [of_memory(picture, place) for place, picture in enumerate(pictures)]
        self.size, self._crop = size, crops.clean(crop, size)

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(self, indices: Sequence[int], stage: int = 0, epoch: int = 0) -> torch.Tensor:
        return _channels_first(np.stack([fitted(self._pictures[index], self.size, self._crop) for index in indices]))


def _channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


_LARGE = 4
"""Images are stored at their own size up to so many times the pixels of the training size (twice its height and width): a matter of taste."""


def storage_size(sizes: Iterable[tuple[int, int]], training_size: tuple[int, int]) -> tuple[int, int]:
    """The images' own size where all have the same and it takes not much more memory than the training size (``_LARGE``), else the training size.

    Looks at no more of ``sizes`` than it has to; without any it is the training size.
    """
    own = None
    for size in sizes:
        if size[0] * size[1] > _LARGE * training_size[0] * training_size[1] or size != (own or size):
            return training_size
        own = size
    return own or training_size


def unreadable(
    files: Sequence[Path], *, workers: int = 2, look: Callable[[Path], object] = decode, track: Callable[[Iterable[int]], Iterable[int]] = iter
) -> dict[Path, str]:
    """The images that cannot be read, each with the reason, which does not repeat its name.

    Args:
        files: N image files.
        workers: threads that read them.
        look: what has to succeed: ``decode``, or ``image_size`` for the headers alone.
        track: wraps the iteration over images, for a progress bar.
    """

    def reason(file: Path) -> str:
        try:
            look(file)
        except UnreadableImage as error:
            return error.why
        return ""

    pool = ThreadPoolExecutor(max(1, workers))
    try:
        reasons = pool.map(reason, files)
        return {files[row]: why for row in track(range(len(files))) if (why := next(reasons))}
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt does not wait for all images that are still to be looked at


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
        UserError: no files, or an unreadable one (in memory: at once; streamed: when a batch asks for it).
    """
    if not files:
        raise UserError("there are no images", "The command data check says what is wrong with a data set.")
    files = [Path(file) for file in files]
    if crop != "none" and seed is not None:
        return StreamedImages(files, size, workers, functools.partial(crops.random_resized, size, seed))
    clean = crops.clean(crop, size)
    stored = storage_size(map(image_size, files), size) if clean is None else size
    if len(files) * stored[0] * stored[1] * 3 > memory_gb * 2**30:
        return StreamedImages(files, stored, workers, None if clean is None else lambda stage, epoch, index: clean)
    images = np.empty((len(files), 3, *stored), dtype=np.uint8)  # in its final order: a transposed copy would take as much memory again
    with ThreadPoolExecutor(max(1, workers)) as pool:
        decoded = pool.map(lambda file: decode(file, stored, clean), files)
        for index in track(range(len(files))):
            images[index] = next(decoded).transpose(2, 0, 1)
    return MemoryImages(torch.from_numpy(images).to(_where(images.nbytes, torch.device(device))))


def _where(size: int, device: torch.device) -> torch.device:
    """Where ``size`` bytes of images are kept: on the device, or on the CPU where they would take more than a quarter of a GPU's free memory."""
    return torch.device("cpu") if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 4 else device
