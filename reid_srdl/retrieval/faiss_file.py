"""The file of a faiss index: vectors, rows and a description in one, so that one rename changes all of them.

::

    magic | the index as faiss writes it | rows as Parquet | description as JSON | its sha256 and length | magic

The description holds the lengths and checksums of the two parts before it. It comes last because they are streamed into the file:
memory never holds a second copy of the vectors.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from .. import files
from ..errors import UserError, first_line
from ..evaluation.flat_index import load_faiss
from .keeping import MAGIC, damaged
from .rows import Rows, of_bytes, to_bytes

_END = struct.Struct(f"<32sQ{len(MAGIC)}s")
_BLOCK = 1 << 20


def write(path: Path, index: Any, rows: Rows, description: dict[str, Any]) -> None:
    """Writes whole or not at all.

    Args:
        path: the file.
        index: of faiss.
        rows: what is known of its vectors.
        description: JSON values; the key ``parts`` is added.

    Raises:
        UserError: the file cannot be written.
    """
    faiss = load_faiss()
    with files.writing(path, flag="") as temporary, open(temporary, "wb") as file:
        file.write(MAGIC)
        vectors = _Hashed(file.write)
        faiss.write_index(index, faiss.PyCallbackIOWriter(vectors.write))
        table = _Hashed(file.write)
        table.write(to_bytes(rows))
        parts = {"vectors": [vectors.length, vectors.digest()], "rows": [table.length, table.digest()]}
        text = json.dumps({**description, "parts": parts}, sort_keys=True).encode()
        file.write(text + _END.pack(hashlib.sha256(text).digest(), len(text), MAGIC))


class _Hashed:
    """Counts and hashes what is written through it."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write, self._hash, self.length = write, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.length += len(data)
        self._write(data)
        return len(data)

    def digest(self) -> str:
        return self._hash.hexdigest()


def read(path: Path, accept: Callable[[dict[str, Any]], Any]) -> tuple[Any, Rows, dict[str, Any]]:
    """The index of faiss, its rows and its description.

    Args:
        path: the file.
        accept: is called with the description before anything else is read, and raises where this version cannot read the rest.

    Raises:
        UserError: the file is truncated or damaged.
    """
    faiss = load_faiss()
    with open(path, "rb") as file:
        description = _description(file, path)
        accept(description)
        try:
            lengths = {name: int(length) for name, (length, _) in description["parts"].items()}
            digests = {name: digest for name, (_, digest) in description["parts"].items()}
            vectors, rows = lengths["vectors"], lengths["rows"]
        except (KeyError, TypeError, ValueError):
            raise damaged(path, "its description names no parts") from None
        # Everything is checked by its checksum before faiss reads it, because faiss trusts whatever lengths the data names.
        for name, start in (("vectors", len(MAGIC)), ("rows", len(MAGIC) + vectors)):
            if _sha256(file, start, lengths[name]) != digests[name]:
                raise damaged(path, f"the checksum of its {name} does not fit")
        file.seek(len(MAGIC))
        try:
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read))
        except RuntimeError as error:  # a checksum tells that the file is unchanged, not who wrote it
            raise damaged(path, f"faiss does not read it ({first_line(error)})") from None
        file.seek(len(MAGIC) + vectors)
        return index, of_bytes(file.read(rows), path), description


def last_id(path: Path) -> int:
    """The highest id that the index at ``path`` has ever given; -1 where there is no such file, or a damaged one."""
    try:
        with open(path, "rb") as file:
            return int(_description(file, path)["last_id"])
    except (OSError, UserError, KeyError, TypeError, ValueError):
        return -1


def _description(file: BinaryIO, path: Path) -> dict[str, Any]:
    size = file.seek(0, 2)
    if size < len(MAGIC) + _END.size:
        raise damaged(path, "it is truncated")
    file.seek(size - _END.size)
    digest, length, magic = _END.unpack(file.read(_END.size))
    if magic != MAGIC or length > size - _END.size - len(MAGIC):
        raise damaged(path, "it is truncated")
    file.seek(size - _END.size - length)
    text = file.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise damaged(path, "the checksum of its description does not fit")
    return json.loads(text)


def _sha256(file: BinaryIO, start: int, length: int) -> str:
    digest = hashlib.sha256()
    file.seek(start)
    while length > 0 and (block := file.read(min(_BLOCK, length))):
        digest.update(block)
        length -= len(block)
    return digest.hexdigest()
