"""Files that appear whole or not at all, and their checksums."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import locks
from .errors import UserError

_TEMPORARY = ".tmp"
_LOCK = ".lock"
_WORKSHOP = ".making"
_OUTPUT = "--output"

Pathlike = str | os.PathLike[str]


def _cannot_write(path: Path, error: OSError, flag: str) -> UserError:
    message = f"cannot write {path}: {error.strerror}"
    if error.errno == errno.EISDIR:
        return UserError(message, f"Name a file in it with {flag}." if flag else "Move it away.")
    reason, way = {
        errno.ENOSPC: ("The disk is full", "free some space"),
        errno.EDQUOT: ("The disk quota is used up", "free some space"),
        errno.EFBIG: ("No file may be that large here (see ulimit -f)", "have the limit raised"),
        errno.EROFS: ("The file system is read-only", ""),
        errno.EACCES: ("There is no permission to write there", ""),
    }.get(error.errno, ("", ""))
    ways = ", or ".join(filter(None, (way, f"choose another folder with {flag}" if flag else ""))) or "have it made writable"
    return UserError(message, f"{reason}: {ways}." if reason else f"{ways[0].upper()}{ways[1:]}.")


def expanded(path: Pathlike) -> Path:
    """The path with a leading ``~`` or ``~NAME`` replaced by that user's home; where there is no such user, it stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def in_the_making(path: Pathlike, end: str = "") -> Path:
    """A hidden name beside ``path``, for a file or folder that is renamed to ``path`` once it is whole.

    The process number in it only informs whoever finds it. It does not make the name unique, because processes in different containers may
    share a disk and a number; the random letters do.
    """
    path = Path(path)
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{end}")


@contextlib.contextmanager
def workshop(folder: Pathlike) -> Iterator[Path]:
    """A hidden folder beside ``folder``, for what takes long and is renamed to that once it is whole; it is gone on leaving.

    What killed processes left of ``folder`` is removed first, as in ``writing_for_long``.
    """
    folder = Path(folder)
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*{_WORKSHOP}"):
        with contextlib.suppress(OSError), open(left / _LOCK, "r+") as held:
            if locks.take(held):
                shutil.rmtree(left, ignore_errors=True)
    made, there = in_the_making(folder, _WORKSHOP), folder.parent.exists()
    made.mkdir(parents=True)
    try:
        with open(made / _LOCK, "w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: there, nobody removes anything
                locks.take(lock)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if not there:
            with contextlib.suppress(OSError):  # it is not empty: all went well
                folder.parent.rmdir()


def make_folder(path: Pathlike) -> None:
    """Makes a folder, with all folders above it. Raises ``UserError`` where it cannot be made."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(Path(path), error, _OUTPUT) from None


@contextlib.contextmanager
def writing(path: Pathlike, flag: str = _OUTPUT) -> Iterator[Path]:
    """Hands out a temporary path beside ``path``; on leaving, that file is flushed and renamed to ``path``.

    Whatever goes wrong inside, nothing half-written is left and a former ``path`` stays as it was. A link stays a link, and the file that it
    leads to is written; a pipe or device, such as ``/dev/stdout``, is written to and not replaced.

    Args:
        path: of the file.
        flag: the option by which the user chose ``path``, for the error's hint; empty where there is none.

    Raises:
        UserError: the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    try:
        if _is_stream(path):
            with tempfile.TemporaryDirectory() as folder:
                yield Path(folder) / f"stream{path.suffix}"
                path.write_bytes((Path(folder) / f"stream{path.suffix}").read_bytes())
            return
        path = Path(os.path.realpath(path))
    except OSError as error:
        raise _cannot_write(path, error, flag) from error
    temporary = in_the_making(path, f"{_TEMPORARY}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        begin_like(path, temporary)
        yield temporary
        with open(temporary, "rb") as written:
            if path.exists():  # the new file keeps the permissions of the old one: they were meant for the file, whatever is in it
                os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
            os.fsync(written.fileno())
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        _gone(temporary)
        raise _cannot_write(path, error, flag) from error
    except BaseException:
        _gone(temporary)
        raise


def begin_like(path: Path, temporary: Path) -> None:
    """Makes the empty file ``temporary`` with the permissions of ``path``, where that exists: so what is secret in ``path`` is never readable beside it.

    The owner may always read and write it. Where ``path`` does not exist, nothing is made, and the first write makes an ordinary file.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(path).st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR  # a read-only file is replaced, too
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))


@contextlib.contextmanager
def writing_for_long(path: Pathlike) -> Iterator[Path]:
    """As ``writing``, for what takes so long that its process may be killed before the end.

    It may be long until the same file is written again, and what is half-made may be large. So what killed processes left of ``path`` is removed
    first, whatever suffix follows ``.tmp``. A process that still writes holds a lock, which ends with the process, on whatever machine it runs.
    """
    _remove_left(Path(os.path.realpath(path)))
    with writing(path) as temporary, open(temporary.with_suffix(_LOCK), "w") as lock:
        try:
            with contextlib.suppress(OSError):  # a file system without locks: there, nobody removes anything
                locks.take(lock)
            yield temporary
        finally:
            _gone(Path(lock.name))


def _remove_left(path: Path) -> None:
    for lock in path.parent.glob(f".{glob.escape(path.name)}.*{_TEMPORARY}{_LOCK}"):
        if not re.fullmatch(rf"\.{re.escape(path.name)}\.\d+-[0-9a-f]+{re.escape(_TEMPORARY + _LOCK)}", lock.name):  # of another file, whose name begins alike
            continue
        with contextlib.suppress(OSError), open(lock, "r+") as held:
            if locks.take(held):
                for left in path.parent.glob(f"{glob.escape(lock.stem)}.*"):
                    _gone(left)


def _is_stream(path: Path) -> bool:
    """A pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _gone(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # its folder may be what cannot be written to
        temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    # Without this, a power failure may undo the rename although the file's bytes are on the disk.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary(folder: Pathlike) -> list[Path]:
    """The temporary files of ``writing`` in a folder, of processes that were killed or are still writing."""
    return list(Path(folder).glob(f".*{_TEMPORARY}*"))


def remove_temporary(folder: Pathlike) -> None:
    """Removes what killed processes left of ``writing`` in a folder; to be called only where no other process can be writing there."""
    for path in temporary(folder):
        path.unlink(missing_ok=True)


def canonical_safetensors(data: bytes) -> bytes:
    """The same file with the keys of its header sorted: safetensors shuffles the metadata, so files of equal content would differ."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned, as the format requires
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def check_writable(path: Pathlike, flag: str = _OUTPUT) -> None:
    """Raises ``UserError`` where ``writing`` would fail because permission is missing or ``path`` is a folder: called before long work, not after it."""
    path = Path(path)
    number = errno.EISDIR if path.is_dir() else errno.EACCES if path.parent.is_dir() and not os.access(path.parent, os.W_OK) else None
    if number is not None:
        raise _cannot_write(path, OSError(number, os.strerror(number)), flag)


def write_bytes(path: Pathlike, data: bytes, flag: str = _OUTPUT) -> None:
    with writing(path, flag) as temporary:
        temporary.write_bytes(data)


def utf8(text: str) -> bytes:
    """The text as UTF-8; what cannot be encoded (names of files need not be valid text) is spelled out with backslashes."""
    return text.encode(errors="backslashreplace")


def write_text(path: Pathlike, text: str, flag: str = _OUTPUT) -> None:
    write_bytes(path, utf8(text), flag)


def write_json(path: Pathlike, value: Any, flag: str = _OUTPUT) -> None:
    """Writes indented JSON; a number that is not finite becomes null, since JSON cannot express it."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n", flag)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def read_json(path: Pathlike) -> Any:
    """The value in a JSON file. Raises ``UserError`` where the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} is not there") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON: {error}") from None


@contextlib.contextmanager
def reading(path: Pathlike) -> Iterator[None]:
    """To be put around the parsing of a file's contents, and nothing else: any error in it becomes a ``UserError`` that names the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a missing key, another type, what a library's reader raises
        raise UserError(f"{path} is damaged, or of another version ({type(error).__name__}: {' '.join(str(error).split())})") from None


def within(folder: Path, path: Pathlike) -> Path | None:
    """The file at a path that others wrote, relative to ``folder`` or absolute; None where it is missing, or outside ``folder`` once all ``..`` and links are followed."""
    folder = folder.resolve()
    try:
        file = (folder / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # gone; links that lead in a circle; a name that no file can have
        return None
    return file if file.is_relative_to(folder) and file.is_file() else None


def sha256_file(*paths: Pathlike) -> str:
    """Hash of a file, or of several one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hash of a value by its canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def link_or_copy(source: Pathlike, target: Pathlike) -> None:
    """Gives a file a second name, so that deleting the first leaves the second; across file systems the second is a copy."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with writing(target) as temporary:
            shutil.copyfile(source, temporary)
