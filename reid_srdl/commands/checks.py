"""Checks before the first step, so that hours of training do not end without a score."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ..config import Config
from ..data import decoding, images
from ..data.records import ClassData, ReIDData
from ..errors import UserError
from .kinds import Tracks, kind_of

NAMED = 3
"""Bad images that a message names."""


def can_be_scored(config: Config, data: ReIDData | ClassData, tracks: Tracks = lambda title: iter) -> None:
    """Checks that the splits that are scored, during or after training, are there and readable.

    Images that would fit into ``data.memory_gb`` are decoded; of more, only the headers are read.

    Raises:
        UserError: there is no such split, it cannot be scored, or an image of it cannot be read. No image is left out of a
            score, whatever ``data.skip_corrupt`` says of training images.
    """
    during = {config.log.eval_split} if config.log.eval_every else set()
    after = {config.evaluate} - {"none"}
    for split in sorted(during | after):
        files = [file for part in kind_of(data).scored(data, split) for file in part.files]
        look = decoding.decode if _fit(files, config) else decoding.image_size
        bad = images.unreadable(files, workers=config.data.workers, look=look, track=tracks(f"checking images to be scored ({split})"))
        if bad:
            named = "; ".join(f"{file} ({why})" for file, why in list(bad.items())[:NAMED]) + ("; …" if len(bad) > NAMED else "")
            raise UserError(
                f"{len(bad):,} of the {len(files):,} images to be scored cannot be read: {named}",
                "Restore them, since a score is of all images (--data.skip_corrupt is for training images), or train with --evaluate none.",
            )


def _fit(files: Sequence[Path], config: Config) -> bool:
    """Whether the decoded images fit into ``data.memory_gb``."""
    height, width = config.size
    if config.data.crop == "none":
        with contextlib.suppress(UserError):  # an unreadable header, which is about to be named
            height, width = images.storage_size(map(decoding.image_size, files), config.size)
    return len(files) * height * width * 3 <= config.data.memory_gb * 2**30
