"""The folder of a data set: found where it lies, or unpacked from its archive, whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import files
from ..errors import UserError
from . import cache_folder
from .archive import extract_zip


def find_folder(
    root: Path,
    names: Sequence[str],
    archives: Sequence[str],
    holds: Callable[[Path], bool],
    missing: Callable[[], UserError],
    is_root: Callable[[Path], bool] = lambda root: True,
) -> Path:
    """The folder of a data set: the root itself, one of ``names`` in it, or one of ``archives``, unpacked.

    An archive is unpacked as ``unpacked`` says.

    Args:
        root: the data root.
        names: folder names to look for, the first that fits wins; a folder of such a name inside another is found too.
        archives: names of zip files.
        holds: whether a folder is the data set.
        missing: makes the error for a set that is not there.
        is_root: a further test of the root itself, for layouts that other sets have too: unlike a folder, the root has no telling name.
    """
    for folder in candidates(root, names):
        if holds(folder) and (folder != root or is_root(folder)):
            return folder
    for archive in (parent / name for parent in (root, *(root / name for name in names)) for name in archives):
        if archive.is_file():
            return _set_of(archive, names, holds)
    raise missing()


def candidates(root: Path, names: Sequence[str]) -> list[Path]:
    """Where a data set may lie: the root itself, a folder with one of its names, or such a folder inside another one."""
    outer = [root / name for name in names]
    return [root, *outer, *(folder / name for folder in outer for name in names)]


def _set_of(archive: Path, names: Sequence[str], holds: Callable[[Path], bool]) -> Path:
    """The data set's folder in an unpacked zip archive. Raises ``UserError`` where the archive holds something else; then nothing of it is kept."""

    def inside(folder: Path) -> Path:
        found = next((inner for inner in candidates(folder, names) if holds(inner)), None)
        if found is None:
            raise UserError(f"{archive} does not hold the data set", "Fetch it again from its publisher.")
        return found

    def unpack(unpacking: Path) -> Path:
        folder = unzip(archive)(unpacking)
        inside(folder)
        return folder

    return inside(unpacked(archive, archive.stem, unpack))


def unzip(archive: Path) -> Callable[[Path], Path]:
    """The argument ``unpack`` of ``unpacked`` and ``unpack_to`` for a zip archive: returns the only folder in it, or else all that is in it."""

    def unpack(unpacking: Path) -> Path:
        extract_zip(archive, unpacking)
        inside = sorted(path for path in unpacking.iterdir() if path.name != "__MACOSX")
        return inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacking

    return unpack


def unpacked(archive: Path, name: str, unpack: Callable[[Path], Path]) -> Path:
    """The folder that an archive is unpacked to, on the first call; it appears whole or not at all.

    It lies beside the archive; or in the cache folder, if nothing can be written there, the name is taken, or ``$REID_CACHE`` is set.

    Args:
        archive: what is unpacked.
        name: of the folder.
        unpack: takes the path of a folder that does not exist yet, fills it, and returns it or the folder in it that is wanted.

    Raises:
        UserError: there is no room, or what ``unpack`` raises.
    """
    stat = archive.stat()
    beside = archive.with_name(name)
    if can_write(archive.parent) and not beside.exists() and not os.environ.get("REID_CACHE"):
        folder = beside
    else:
        # Several archives of one name may come to the cache.
        version = files.sha256_json([archive.name, stat.st_size, stat.st_mtime_ns])[:12]
        folder = cache_folder() / f"{name}-{version}"
    return folder if folder.is_dir() else unpack_to(folder, archive, unpack)


def unpack_to(folder: Path, archive: Path, unpack: Callable[[Path], Path], way_out: str = "Set REID_CACHE to a folder with room.") -> Path:
    """Makes ``folder``, which is not there yet, out of an archive, as ``unpacked`` does; it appears whole or not at all.

    ``way_out`` says what to do where it cannot be written.

    Raises:
        UserError: there is no room, or what ``unpack`` raises.
    """
    print(f"unpacking {archive} to {folder}", file=sys.stderr)
    try:
        with files.workshop(folder) as made:
            whole = unpack(made / folder.name)
            try:
                whole.rename(folder)
            except OSError:
                # Another process (a second rank, say) was faster: its folder is as good.
                if not folder.is_dir():
                    raise
    except OSError as error:
        raise UserError(f"cannot unpack {archive} to {folder}: {error.strerror}", way_out) from None
    return folder


def can_write(folder: Path) -> bool:
    """Whether files may be put into a folder."""
    # The mode counts too: the user root could write to a folder that is marked read-only, but should not.
    return os.access(folder, os.W_OK | os.X_OK) and bool(folder.stat().st_mode & 0o222)
