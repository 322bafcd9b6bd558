"""Warnings about images in a user's folders that no reader takes: without them, people would be missing and nobody would know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .listing import folder_names, foreign_names, image_names
from .telling import warn


def warn_of_kinds(paths: Sequence[Path]) -> None:
    """Warns that these images are left out because of their file format; says nothing where there are none."""
    if paths:
        warn(f"{_are(paths)} left out, of a kind that is not read (such as {paths[0]}): save them as JPEG or PNG")


class LeftOut:
    """What is left out of the folders of people, or of classes."""

    def __init__(self, whose: str) -> None:
        """``whose`` is what each folder stands for: ``person`` or ``class``."""
        self.whose = whose
        self.foreign: list[Path] = []
        self.below: list[Path] = []

    def look(self, folder: Path) -> None:
        """Takes note of images of other kinds in a folder, and of images in the folders below it."""
        self.foreign += [folder / name for name in foreign_names(folder)]
        self.below += [folder / inner / name for inner in folder_names(folder) for name in image_names(folder / inner)]

    def tell(self) -> None:
        """Prints one line on stderr for each of the two sorts; nothing where no image was left out."""
        warn_of_kinds(self.foreign)
        if self.below:
            warn(f"{_are(self.below)} left out, in folders below that of a {self.whose} (such as {self.below[0]}): move them up")


def _are(paths: Sequence[Path]) -> str:
    return "an image is" if len(paths) == 1 else f"{len(paths):,} images are"
