"""The journal beside an index in a Milvus: a change that was begun, so that whoever comes next undoes or finishes it.

``undo`` names ids that were being added, and ``delete`` ids that have had their day. ``buildings`` are pairs of collections: one that is
being filled, and the former one whose place it is to take (or null); each is its address, name and build. There may be several, since one
in a Milvus that does not answer stays until that does. Whatever is done here needs the lock of ``keeping.changing``.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .. import files
from ..errors import UserError
from .keeping import description_of
from .milvus_collection import Collection
from .milvus_connection import is_lite
from .milvus_place import full_uri, real


def journal_of(path: Path) -> Path:
    """The journal's file, whether it is there or not."""
    path = real(path)
    return path.with_name(f".{path.name}.journal")


def begun_in(path: Path) -> dict[str, Any]:
    """What the journal says; empty where there is none."""
    return files.read_json(journal_of(path)) if journal_of(path).is_file() else {}


def note(path: Path, **change: Any) -> None:
    """Writes down what is about to be done, in place of the keys that it has; a change of nothing (None) is taken out."""
    begun = {key: value for key, value in {**begun_in(path), **change}.items() if value}
    if begun:
        files.write_json(journal_of(path), begun, flag="")
    else:
        journal_of(path).unlink(missing_ok=True)


def settle(path: Path, at: str, token: str | None) -> None:
    """Ends the buildings that the journal speaks of: drops what they began or, where the JSON names that already, what was there before.

    Args:
        path: the JSON.
        at: the address that the token is for, which no other one is told.
        token: of the Milvus there.
    """
    begun = begun_in(path)
    if not begun.get("buildings"):
        return
    own = description_of(path).get("build")
    left = [[new, former] for new, former in begun["buildings"] if not _dropped(path, former if new[2] == own else new, at, token)]
    note(path, buildings=left)


def _dropped(path: Path, place: list[str] | None, at: str, token: str | None) -> bool:
    """Drops a collection where it is still the one that is meant. False where its Milvus does not answer."""
    if not place:
        return True
    stored, name, build = place
    uri = full_uri(stored, path)
    if is_lite(uri) and not Path(uri).exists():
        return True
    try:
        with contextlib.closing(Collection(uri, name, token if uri == at else None)) as there:
            if there.exists() and there.build() == build:
                there.drop()
    except UserError:
        return False
    return True


def to_replace(path: Path, stored: str, asked: str, token: str | None) -> list[str] | None:
    """Address, name and build of the collection that the index at ``path`` has under that address and name; none where it has none, or another one."""
    told = description_of(path)
    place = [told.get("uri", ""), told.get("collection", ""), told.get("build", "")]
    if place[0] != stored or place[1].removesuffix(f"_{place[2]}") != asked:
        return None
    with contextlib.closing(Collection(full_uri(stored, path), place[1], token)) as there:
        return place if there.exists() and there.build() == place[2] else None
