"""The embedded data set ``synthetic``: drawn people who walk past six cameras, rendered on first use.

It needs no download and no permission, is small enough to train on a CPU in minutes, and hard enough to tell a good
embedding from a bad one: cameras disagree about colours, people share clothes, and things stand in the way. Scores
on it say nothing about real cameras.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ...errors import UserError
from ...files import read_json
from ..records import ReIDData
from .spec import VERSION, Spec
from .write import RECORD, render

NAME = "synthetic"


def read_synthetic(root: Path) -> ReIDData:
    """The data set in ``root/synthetic``, rendered there on first use.

    Where ``root`` cannot be written to, it is rendered into the cache folder instead. A folder made with other sizes
    (by ``render``) is read as it is.

    Raises:
        UserError: the folder is incomplete, was made by another version, or cannot be made.
    """
    from ..market1501 import read_layout

    folder = _folder(Path(root))
    if not folder.exists():
        print(f"rendering the data set {NAME} into {folder} (once)", file=sys.stderr)
        render(folder, Spec(), progress=True)
    _check(folder)
    return read_layout(folder, NAME)


def is_rendered(root: Path) -> bool:
    """Whether ``read_synthetic`` would find the data set rendered; nothing is made to find out."""
    from .. import cache_folder
    from ..unpacking import can_write

    return (root / NAME).exists() or (root.is_dir() and not can_write(root) and (cache_folder() / NAME).exists())


def _folder(root: Path) -> Path:
    folder = root / NAME
    if folder.exists() or _can_write(root):
        return folder
    from .. import cache_folder

    return cache_folder() / NAME


def _can_write(folder: Path) -> bool:
    from ..unpacking import can_write

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return can_write(folder)


def _check(folder: Path) -> None:
    way_out = f"Delete {folder}, and it is rendered again."
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} has no {RECORD}, so it is no complete synthetic data set", way_out)
    record = read_json(folder / RECORD)
    version = record.get("version") if isinstance(record, dict) else None
    if version != VERSION:
        raise UserError(
            f"{folder} was rendered by version {version} of the renderer, this is version {VERSION}", way_out
        )


__all__ = ["NAME", "Spec", "read_synthetic", "render"]
