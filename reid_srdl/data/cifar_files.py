"""The files that CIFAR is published in: binary records, or pickles of Python 2, each in a ``tar.gz``.

A pickle can run any program when it is opened, so one is opened only out of an archive with the published checksum, and even then by an
unpickler that makes nothing but arrays.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import tarfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from ..pictures import encode

SIDE = 32
MAX_BYTES = 1 << 30
"""The most that an archive may unpack to; the largest published one takes a fifth of that."""
Read = Callable[[str], bytes]
"""Returns the content of a file, given its name."""

_PIXELS = 3 * SIDE * SIDE


@dataclass(frozen=True)
class Published(ABC):
    """A form that a set is published in.

    Args:
        archive: its file name.
        folder: the folder that it unpacks to.
        md5: checksum of the archive, as its publisher states it.
        train, test: files with images.
        names: the file with the names of the classes.
    """

    archive: str
    folder: str
    md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str

    @abstractmethod
    def images(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Pixels uint8 ``(N, 3072)``, the red ones first, and labels int64 ``(N,)`` of one file."""

    @abstractmethod
    def class_names(self, data: bytes) -> tuple[str, ...]:
        """The names of the classes, in order of their labels."""


@dataclass(frozen=True)
class Binary(Published):
    """Records of ``label_bytes`` label bytes, the last of which is the class, and 3,072 bytes of pixels; class names are lines of text."""

    label_bytes: int = 1

    def images(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        record = self.label_bytes + _PIXELS
        if not data or len(data) % record:
            raise ValueError(f"{len(data):,} bytes are no whole number of images")
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, record)
        return rows[:, self.label_bytes :], rows[:, self.label_bytes - 1].astype(np.int64)

    def class_names(self, data: bytes) -> tuple[str, ...]:
        return tuple(data.decode("ascii").split())


@dataclass(frozen=True)
class Pickled(Published):
    """Pickled dictionaries: those of images have ``data`` and labels (under the key ``labels``), another has the class names (under ``words``)."""

    labels: str = "labels"
    words: str = "label_names"

    def images(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        content = unpickled(data)
        pixels = np.asarray(content["data"])
        if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
            raise ValueError(f"images are {pixels.dtype} {pixels.shape}")
        return pixels, np.asarray(content[self.labels], dtype=np.int64)

    def class_names(self, data: bytes) -> tuple[str, ...]:
        return tuple(str(word) for word in unpickled(data)[self.words])


# --- pickles -----------------------------------------------------------------------------------------------------


def _dtype(name: str, align: object = False, copy: object = False) -> np.dtype:
    # Python 2 wrote numbers for align and copy, which numpy no longer accepts.
    return np.dtype(str(name), bool(align), bool(copy))


_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ARRAYS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
}
"""Everything that a pickle may name."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")
        return _ARRAYS[module, name]


def unpickled(data: bytes) -> Any:
    """The dictionaries, lists, words, numbers and arrays in a pickle. Raises ``pickle.UnpicklingError`` where it asks for anything else."""
    return _ArraysOnly(io.BytesIO(data), encoding="latin1").load()


# --- from files to a tree ----------------------------------------------------------------------------------------


def from_archive(archive: Path, form: Published) -> Read:
    """The files of an archive by their names, once its checksum is the published one.

    Raises:
        UserError: another checksum, or no readable archive.
    """
    if _md5(archive) != form.md5:
        raise UserError(
            f"{archive} is not the published file: its MD5 is not {form.md5}, so nothing of it was opened",
            "It is damaged or another one: fetch it again from its publisher.",
        )
    wanted = {f"{form.folder}/{name}": name for name in (*form.train, *form.test, form.names)}
    found: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                total += member.size
                if total > MAX_BYTES:
                    raise UserError(f"{archive} would unpack to more than {MAX_BYTES >> 30} GiB", "Fetch it again from its publisher.")
                if member.isreg() and member.name in wanted:
                    found[wanted[member.name]] = opened.extractfile(member).read()  # type: ignore[union-attr]
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{archive} is not a readable tar.gz archive ({error})", "Fetch it again.") from None
    absent = sorted(set(wanted.values()) - set(found))
    if absent:
        raise UserError(f"{archive} has no {form.folder}/{absent[0]}", "Fetch it again from its publisher.")
    return found.__getitem__


def from_folder(folder: Path, form: Published) -> Read:
    """The files of a folder by their names; ``form`` makes no difference. Raises ``UserError`` when one cannot be read."""

    def read(name: str) -> bytes:
        try:
            if (folder / name).stat().st_size > MAX_BYTES:
                raise UserError(f"{folder / name} is larger than {MAX_BYTES >> 30} GiB", "Unpack the archive again.")
            return (folder / name).read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {folder / name}: {error.strerror}", "Unpack the archive again, all of it.") from None

    return read


def write_tree(form: Published, read: Read, where: Path, folder: Path) -> Path:
    """Writes ``{train,test}/CLASS/00000.png``, numbered as in the official order of the split; returns ``folder``.

    Args:
        form: the form of the files.
        read: returns the content of a file.
        where: the archive or folder they come from, for messages.
        folder: the folder to be made.

    Raises:
        UserError: a file is truncated or of another kind.
    """
    names = _class_names(form, _understood(form.class_names, read, form.names, where), where)
    for split, members in (("train", form.train), ("test", form.test)):
        for name in names:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
        start = 0
        for member in members:
            pixels, labels = _understood(form.images, read, member, where)
            if len(labels) != len(pixels) or labels.min(initial=0) < 0 or labels.max(initial=0) >= len(names):
                raise UserError(f"{where / member} has labels that are none of its {len(names)} classes", "Fetch the archive again.")
            images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            for number, (image, label) in enumerate(zip(images, labels, strict=True), start):
                (folder / split / names[label] / f"{number:05}.png").write_bytes(encode(image))
            start += len(labels)
    return folder


def _understood(parse: Callable[[bytes], Any], read: Read, name: str, where: Path) -> Any:
    data = read(name)
    try:
        return parse(data)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f"{where / name} is not the published file: {error}", "Fetch the archive again from its publisher.") from None


def _class_names(form: Published, names: Sequence[str], where: Path) -> Sequence[str]:
    """The class names, checked to be usable as names of folders."""
    odd = [name for name in names if not re.fullmatch(r"\w[\w-]*", name, re.ASCII)]
    if odd or not names or len(set(names)) < len(names):
        raise UserError(f"{where / form.names} does not list the classes{f' ({odd[0]!r})' if odd else ''}", "Fetch the archive again from its publisher.")
    return names


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()
