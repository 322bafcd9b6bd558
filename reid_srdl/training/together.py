"""What the processes of one run must have in common: what they train on, and the folder that they write and read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from .. import files
from ..devices import Place
from ..errors import UserError

SEEN_WITHIN = 90.0
"""Seconds to wait for a file that another machine wrote to a shared disk: NFS caches for up to a minute that a file was not there."""
_POLL = 0.2


def check_same_work(place: Place, what: Mapping[str, str]) -> None:
    """Raises ``UserError``, in all processes, where one has another list of images or another configuration than the first.

    Args:
        place: of this process.
        what: from the name of a thing to what this process has of it, in words.
    """
    found = place.gathered(dict(what))
    for rank, other in enumerate(found):
        for name, value in other.items():
            if value != found[0][name]:
                raise UserError(
                    f"rank {rank} has another {name} than rank 0: {value}, not {found[0][name]}",
                    "All processes need the same files and flags. An image that only one machine cannot read is named by the command data check there.",
                )


def check_same_folder(place: Place, path: Path, seconds: float = SEEN_WITHIN) -> None:
    """Raises ``UserError``, in all processes, where one does not see what the first has written into ``path``."""
    wanted = place.gathered(files.sha256_file(path) if place.rank == 0 else "")[0]
    same = place.rank == 0 or awaited(lambda: path.is_file() and files.sha256_file(path) == wanted, path.parent, seconds)
    for rank, sees in enumerate(place.gathered(same)):
        if not sees:
            raise UserError(f"rank {rank} does not find in {path.parent} what rank 0 has written there", "All machines need the same run folder: choose an --output on a disk that all of them see.")


def await_files(place: Place, *paths: Path, seconds: float = SEEN_WITHIN) -> None:
    """Waits until this process sees the files that the first has written. Raises ``UserError`` where it does not within ``seconds``."""
    for path in paths if place.rank else ():
        if not awaited(path.is_file, path.parent, seconds):
            raise UserError(f"rank {place.rank} does not find {path}, which rank 0 has written", "All machines need the same run folder: choose an --output on a disk that all of them see.")


def awaited(condition: Callable[[], bool], folder: Path, seconds: float) -> bool:
    """Whether the condition becomes true within ``seconds``; the folder is listed before each further try, so that new files are seen."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        if folder.is_dir():
            os.listdir(folder)
        time.sleep(_POLL)
    return True
