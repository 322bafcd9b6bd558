"""The journal beside an index in a Milvus: a change that was begun, so that whoever comes next undoes or finishes it.

``undo`` names ids that were being added, ``delete`` ids that have had their day, and ``building`` a collection that is being filled, with
the ``former`` one whose place it is to take. Whatever is done here needs the lock of ``keeping.changing``.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from .. import files
from .keeping import description_of
from .milvus_collection import Collection
from .milvus_place import full_uri, real


def journal_of(path: Path) -> Path:
    """The journal's file, whether it is there or not."""
    path = real(path)
    return path.with_name(f".{path.name}.journal")


def begun_in(path: Path) -> dict[str, Any]:
    """What the journal says; empty where there is none."""
    return files.read_json(journal_of(path)) if journal_of(path).is_file() else {}


def settle(path: Path, token: str | None) -> None:
    """Ends the building that the journal speaks of: drops what it began or, where the JSON names that already, what was there before.

    Only to be called under the lock of ``changing``.
    """
    begun = begun_in(path)
    if "building" not in begun:
        return
    whole = description_of(path).get("build") == begun["building"][2]
    left = begun.get("former") if whole else begun["building"]
    if left:
        stored, name, build = left
        with contextlib.closing(Collection(full_uri(stored, path), name, token)) as there:
            if there.exists() and there.build() == build:
                there.drop()
    rest = {} if whole else {key: value for key, value in begun.items() if key not in ("building", "former")}
    if rest:
        files.write_json(journal_of(path), rest, flag="")
    else:
        journal_of(path).unlink()


def to_replace(path: Path, stored: str, asked: str, token: str | None) -> list[str] | None:
    """Address, name and build of the collection that the index at ``path`` has under that address and name; none where it has none, or another one."""
    told = description_of(path)
    place = [told.get("uri", ""), told.get("collection", ""), told.get("build", "")]
    if place[0] != stored or place[1].removesuffix(f"_{place[2]}") != asked:
        return None
    with contextlib.closing(Collection(full_uri(stored, path), place[1], token)) as there:
        return place if there.exists() and there.build() == place[2] else None
