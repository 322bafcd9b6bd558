"""Pictures of images in the index, and of no other file."""

from __future__ import annotations

from pathlib import Path

from ... import files
from ...errors import UserError
from ...report.lists import picture

QUALITY = 85


class Pictures:
    """Pictures of the images below one folder.

    Args:
        root: the folder; none where it is not known, and then there are no pictures.

    Raises:
        UserError: the folder is not there.
    """

    def __init__(self, root: Path | None) -> None:
        if root is not None and not root.is_dir():
            raise UserError(f"the images are not in {root} (any more)", "Name the folder that the paths of the index are relative to with --images.")
        self.root = None if root is None else root.resolve()

    def file_of(self, path: str) -> Path | None:
        """The file of an image; none where it is gone, or outside of the folder, whatever path the index holds."""
        return None if self.root is None else files.within(self.root, path)

    def jpeg(self, path: str, largest: int) -> bytes | None:
        """The image re-encoded as a JPEG of at most ``largest`` pixels a side, without anything else that its file holds; none where it is gone or damaged."""
        file = self.file_of(path)
        if file is None:
            return None
        try:
            return picture(file, largest, QUALITY)
        except UserError:
            return None
