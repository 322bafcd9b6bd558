"""Finding a data set's folder, and listing its images in one order on every file system."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import files, ranks
from ..errors import UserError, shown
from ..shell import command
from . import cache_folder
from .archive import extract_zip
from .decoding import SUFFIXES
from .records import DISTRACTOR, JUNK, Split

FOREIGN = frozenset({".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".ppm", ".pgm", ".dng", ".cr2", ".nef", ".arw"})
"""Suffixes of image formats that are not read."""


_DIGITS = 1000
"""The most digits that are read as one number; Python itself converts at most 4,300."""


def meanwhile() -> str:
    """What to do until a data set is there."""
    return f"Meanwhile, this runs without any download: {command('train', '--dataset', 'synthetic')}"


def warn(message: str) -> None:
    """Prints one line on stderr; of several processes only the first does, since all read the same data."""
    if ranks.own()[0] == 0:
        print(f"warning: {shown(' '.join(message.split()))}", file=sys.stderr)


def is_image(name: str) -> bool:
    """Whether a file is an image, by its suffix; hidden files, such as the ``._X.jpg`` that macOS leaves behind, are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def is_foreign(name: str) -> bool:
    """Whether a file of this name is an image of a format that is not read."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in FOREIGN


def image_names(folder: Path) -> list[str]:
    """The names of the images directly in a folder, in ascending order; a link that leads nowhere, or to itself, counts as an image (an unreadable one).

    Raises:
        UserError: the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_image(entry.name) and (_is(entry.is_file) or (entry.is_symlink() and not _is(entry.is_dir))))


def foreign_names(folder: Path) -> list[str]:
    """The names of images directly in a folder whose format is not read."""
    with _readable(folder), os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if is_foreign(entry.name))


def folder_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, hidden ones left out, in natural order.

    Raises:
        UserError: the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is(entry.is_dir) and not entry.name.startswith(".")]
    return sorted(names, key=natural_key)


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry of a folder is of that kind; False where the system cannot follow it, such as a link to itself."""
    try:
        return kind()
    except OSError:
        return False


@contextlib.contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from None


def natural_key(word: str) -> tuple:
    """Sorts ``p2`` before ``p10``; words that differ in leading zeros only keep a fixed order."""
    parts = re.split(r"(\d+)", word)
    return tuple((int(part[:_DIGITS]), "") if part.isdecimal() else (-1, part) for part in parts), word


def as_number(word: str) -> int | None:
    """The whole number that a label spells; None for a word. Raises ``UserError`` for a number of too many digits."""
    if len(word) > _DIGITS and re.fullmatch(r"-?\d+", word, re.ASCII):
        raise UserError(f"{word[:20]}…, of {len(word):,} digits, is too large a number", "Labels and cameras are words or numbers below 2^63.")
    return int(word) if re.fullmatch(r"-?\d+", word, re.ASCII) else None


def numbered(words: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Labels from the words of a user's data.

    Whole numbers stay what they are. Otherwise the distinct words are numbered from 1 in natural order, except that
    0 (distractor) and -1 (junk) keep their meaning.

    Args:
        words: N words, those of all splits together; the two Unicode forms of an accented letter, which look alike, count as one.

    Returns:
        labels int64 ``(N,)``, and the names of the labels from 1 on (None where the words are numbers).

    Raises:
        UserError: two spellings of one number, or a number below -1.
    """
    words = [unicodedata.normalize("NFC", word) for word in words]
    numbers = {word: number for word in set(words) if (number := as_number(word)) is not None}
    spellings: dict[int, str] = {}
    for word, number in sorted(numbers.items()):
        if number > np.iinfo(np.int64).max:
            raise UserError(f"the label {word} is too large a number", "Labels are words or numbers below 2^63.")
        if number < JUNK:
            raise UserError(
                f"the label {word} is negative", "Labels are words or numbers from 1; 0 marks distractors, -1 junk."
            )
        if number > DISTRACTOR and spellings.setdefault(number, word) != word:
            raise UserError(
                f"the labels {spellings[number]} and {word} are the same number", "Spell one person's label in one way."
            )
    if len(numbers) == len(set(words)):
        return np.array([numbers[word] for word in words], dtype=np.int64), None
    special = {word: number for word, number in numbers.items() if number <= DISTRACTOR}
    names = sorted(set(words) - special.keys(), key=natural_key)
    table = {name: label for label, name in enumerate(names, 1)} | special
    return np.array([table[word] for word in words], dtype=np.int64), tuple(names)


def whole(numbers: Sequence[int], of: str) -> np.ndarray:
    """The numbers as int64. Raises ``UserError`` for one that is too large; ``of`` says what they are, for the message."""
    if (largest := max(numbers, default=0)) > np.iinfo(np.int64).max:
        raise UserError(f"the {of} {largest} is too large a number", f"Give numbers below 2^63, such as a {of}'s number in the data set.")
    return np.array(numbers, dtype=np.int64)


def split_of(name: str, root: Path, rows: Sequence[tuple[str, int, int]], empty: str) -> Split:
    """A split of ``(path, label, camera)`` rows, put in ascending order of path.

    Raises:
        UserError: there are no rows; ``empty`` says what was looked for.
    """
    if not rows:
        raise UserError(f"the split {name} is empty: {empty}")
    rows = sorted(rows)
    labels, cameras = whole([label for _, label, _ in rows], "label"), whole([camera for _, _, camera in rows], "camera")
    return Split(name, root, tuple(path for path, _, _ in rows), labels, cameras)


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
    unpacking = files.in_the_making(folder)
    try:
        whole = unpack(unpacking)
        try:
            whole.rename(folder)
        except OSError:
            # Another process (a second rank, say) was faster: its folder is as good.
            if not folder.is_dir():
                raise
    except OSError as error:
        raise UserError(f"cannot unpack {archive} to {folder}: {error.strerror}", way_out) from None
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    return folder


def can_write(folder: Path) -> bool:
    """Whether files may be put into a folder."""
    # The mode counts too: the user root could write to a folder that is marked read-only, but should not.
    return os.access(folder, os.W_OK | os.X_OK) and bool(folder.stat().st_mode & 0o222)


def read_mat(path: Path, *keys: str) -> dict[str, np.ndarray]:
    """The named arrays of a MATLAB file.

    Raises:
        UserError: no such file, another format, or a key is missing.
    """
    import scipy.io

    try:
        content = scipy.io.loadmat(path, variable_names=keys)
    except Exception as error:  # a broken file makes scipy raise nearly anything
        raise UserError(
            f"{path} is not a readable .mat file ({type(error).__name__}: {error})", "Fetch it again."
        ) from None
    missing = [key for key in keys if key not in content]
    if missing:
        raise UserError(f"{path} has no {' and no '.join(missing)}", "Fetch it again.")
    return {key: content[key] for key in keys}
