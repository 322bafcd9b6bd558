"""Where the rows of an index in a Milvus are: addresses as its JSON has them, and as they are."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..errors import UserError
from .keeping import description_of
from .milvus_collection import Collection
from .milvus_connection import is_lite

BACKEND = "milvus"


@dataclass(frozen=True)
class Place:
    """Where the rows of an index are: the full address, the collection's name, and its build, a random mark from its creation."""

    uri: str
    collection: str
    build: str

    def still_holds(self, token: str | None = None) -> bool:
        """Whether the rows are still there, as far as can be seen: False where the collection is gone, or another index's by now."""
        if is_lite(self.uri) and not Path(self.uri).exists():
            return False
        try:
            with contextlib.closing(Collection(self.uri, self.collection, token)) as there:
                return there.exists() and there.build() == self.build
        except UserError:  # a Milvus that does not answer may still hold them
            return True


def place_of(path: Path) -> Place | None:
    """The place of the index at ``path``; none where that is no intact index of Milvus."""
    told = description_of(path)
    return Place(full_uri(told["uri"], path), told["collection"], told.get("build", "")) if told.get("backend") == BACKEND else None


def real(path: str | Path) -> Path:
    """The file behind a link to an index: journal and Milvus Lite lie beside that file, not beside the link."""
    return Path(os.path.realpath(path))


def stored_uri(uri: str, path: Path) -> str:
    """The address for the JSON: that of a Milvus Lite inside the index's folder is relative, so that both can be moved together."""
    if not is_lite(uri):
        return uri
    named, folder = files.expanded(uri), real(path).parent
    absolute = real(named.parent) / named.name
    return absolute.relative_to(folder).as_posix() if absolute.is_relative_to(folder) else str(absolute)


def full_uri(stored: str, path: Path) -> str:
    """The address that the JSON at ``path`` means by ``stored``."""
    return os.path.abspath(real(path).parent / stored) if is_lite(stored) else stored
