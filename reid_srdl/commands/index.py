"""Build an index of a gallery, add images to it, or delete some: in a file (faiss) or in a Milvus."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional

import numpy as np

from .. import config as configuration
from .. import embeddings, files, retrieval
from ..data.records import JUNK
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation.flat_index import unit_length
from ..report.words import count
from ..retrieval.index import check_fits
from ..shell import command, python
from .options import given

if TYPE_CHECKING:
    from ..retrieval import Added, Index
    from ..retrieval.milvus_place import Place


@dataclass(frozen=True)
class IndexOptions:
    """Build an index of embeddings (--embeddings, --output), add to one (--add, --index), or delete from it (--delete, --index).

    Args:
        embeddings: files of embeddings to build an index of, as many as follow (.npz or .parquet, or the gallery of a .mat).
        output: the index to build, such as ``gallery.index``.
        add: files of embeddings to add.
        delete: paths of images to delete, as many as follow, or ``@FILE`` with a path a line.
        index: the index that is added to or deleted from.
        backend: ``faiss`` (a file) or ``milvus`` (a database).
        factory: of faiss: Flat (exact), HNSW32, "IVF4096,PQ64" and others; null means Flat.
        effort: of HNSW candidates, of IVF lists that are looked at for a query; null means what its size asks for.
        uri: of Milvus: an address such as http://localhost:19530, or a local path that ends in .db; null means OUTPUT.db.
        collection: of Milvus; null means gallery. One that is built anew has more behind its name, since the former serves until it is whole.
        milvus_token: of a Milvus that asks for one, USER:PASSWORD or a key; null means ``$MILVUS_TOKEN``, which goes to no address but --uri and
            ``$MILVUS_URI``: an index file may name a stranger's. It is not written down.
        metric: ``euclidean`` (squared), or ``cosine``, which networks with a BNNeck want; null means euclidean.
        images: folder that the paths are relative to, so that pictures can be shown.
        names: CSV files with columns label and name: words for labels. Those that are added (with --add) join what the index has.
        replace: build anew what is there already; with --add, images take the place of others of their path.
    """

    embeddings: Optional[tuple[str, ...]] = None
    output: Optional[str] = None
    add: Optional[tuple[str, ...]] = None
    delete: Optional[tuple[str, ...]] = None
    index: Optional[str] = None
    backend: Literal["faiss", "milvus"] = "faiss"
    factory: Optional[str] = None
    effort: Optional[int] = None
    uri: Optional[str] = None
    collection: Optional[str] = None
    milvus_token: Optional[str] = None
    metric: Optional[Literal["euclidean", "cosine"]] = None
    images: Optional[str] = None
    names: Optional[tuple[str, ...]] = None
    replace: bool = False


_OF_BUILDING = ("backend", "factory", "effort", "uri", "collection", "metric", "images", "output")
_NUMBERED = re.compile(r"#\d{7,}$")
"""The end of the name that an image without a path gets: its row in the file."""
_COMPARED = 10_000
"""Vectors that are looked at together."""


def run(argv: list[str]) -> int:
    """``--embeddings E … --output INDEX``, ``--add E … --index INDEX`` or ``--delete PATH … --index INDEX``."""
    options = configuration.parse(IndexOptions, argv, prog="index")
    asked = [name for name in ("embeddings", "add", "delete") if getattr(options, name) is not None]
    if len(asked) != 1:
        raise UserError(
            "index takes one of --embeddings, --add and --delete", "For instance: index --embeddings vectors.npz --output gallery.index, or index --add more.npz --index gallery.index"
        )
    for name in (asked[0], "names"):
        if getattr(options, name) is not None and not getattr(options, name):
            raise UserError(f"--{name} names nothing", "Name one or more after it.")
    if asked[0] == "embeddings":
        return _build(options)
    if options.index is None:
        raise UserError(f"--{asked[0]} needs --index", "Name the index that is changed.")
    idle = given(options, (*_OF_BUILDING, *(["names", "replace"] if asked[0] == "delete" else [])))
    if idle:
        raise UserError(f"--{idle[0]} means nothing where an index is changed", "It belongs to the building of one, with --embeddings.")
    return _add(options) if asked[0] == "add" else _delete(options)


# --- the three ways ------------------------------------------------------------------------------------------------------


def _build(options: IndexOptions) -> int:
    from ..progress import tracked
    from ..retrieval.milvus_connection import is_lite, own_token
    from ..retrieval.milvus_place import place_of

    if options.output is None or options.index is not None:
        raise UserError("--embeddings needs --output" if options.output is None else "--index means nothing where one is built", "Name the index with --output, such as gallery.index.")
    if options.images is not None and not files.expanded(options.images).is_dir():
        raise UserError(f"there is no folder {options.images}", "Name the one that the paths are relative to, or leave --images out.")
    names = _names(options.names or ())
    gallery = _loaded(options.embeddings or ())
    _refuse_two_of_a_path(gallery)
    root = os.path.abspath(files.expanded(options.images)) if options.images else None
    former = place_of(Path(options.output))
    token = options.milvus_token or own_token(options.uri or "", named=True)
    index, added = retrieval.create_index(
        options.output, gallery, backend=options.backend, root=root, names=names, metric=options.metric or "euclidean", replace=options.replace, track=tracked("indexing"),
        factory=options.factory, effort=options.effort, uri=options.uri, collection=options.collection,
        token=token if options.backend == "milvus" else options.milvus_token,
    )  # fmt: skip
    with contextlib.closing(index):
        print(f"{index.path} holds {count(len(index), 'image')} as vectors of {index.dimension:,} numbers{' at length 1, for the cosine' if index.about.metric == 'cosine' else ''}{_but(added)}.")
        for line in _about(index):
            print(line)
        place = place_of(index.path)
        if former is not None and not _same_place(former, place) and former.still_holds(token if place is not None and place.uri == former.uri else None):
            print(_left_behind(former))
        if place is not None and not is_lite(place.uri) and token and not options.milvus_token and not own_token(place.uri):
            print(f"Other commands send $MILVUS_TOKEN there once $MILVUS_URI is {place.uri}.")
        if root is None and not _readable(gallery):
            print("It does not know where the images are: give their folder with --images, here or to search, to see pictures.")
        _next(index)
    return 0


def _add(options: IndexOptions) -> int:
    from ..progress import tracked

    with contextlib.closing(retrieval.open_index(str(options.index), token=options.milvus_token)) as index:
        more = _loaded(options.add or ())
        check_fits(more, index.about, index.path)
        _refuse_two_of_a_path(more)
        if not options.replace:
            _refuse_others(index, more)
        added = index.add(more, names=_names(options.names or ()), track=tracked("adding"))
        print(f"Added {count(added.images, 'image')}{_but(added)}; {index.path} holds {len(index):,} now.")
        _next(index)
    return 0


def _delete(options: IndexOptions) -> int:
    with contextlib.closing(retrieval.open_index(str(options.index), token=options.milvus_token)) as index:
        paths = dict.fromkeys(_paths(options.delete or ()))
        there = set(index.holding(list(paths)).paths)
        unknown = [path for path in paths if path not in there]
        gone = index.delete(list(paths))
        print(f"Deleted {count(gone, 'image')}; {index.path} holds {len(index):,} now.")
        if unknown:
            print(f"Unknown to it: {count(len(unknown), 'path')} (such as {unknown[0]}). Paths are those that the embeddings were given with.")
        if not gone:
            return 2
        if index.dead:
            from ..retrieval.faiss_index import COMPACT_AT

            print(f"{index.dead:.1%} of the vectors in its graph are deleted and passed over; beyond {COMPACT_AT:.0%} the graph is built anew without them.")
        _next(index)
    return 0


def _next(index: Index) -> None:
    print("Next, search it:", command("search", "--index", index.path, "--checkpoint", "RUN", "--query", "IMAGE_OR_FOLDER"))


def _refuse_others(index: Index, more: Embeddings) -> None:
    """Raises ``UserError`` where a path is there already with another vector: folders of queries and of a gallery often have the same names in them."""
    row_of = {path: row for row, path in _named(more)}
    held = index.holding(list(row_of))
    others: list[str] = []
    for start in range(0, len(held), _COMPARED):
        some = held.take(np.arange(start, min(start + _COMPARED, len(held))))
        pair = index.vectors(some.ids), more.vectors[[row_of[path] for path in some.paths]]
        stored, new = (unit_length(part) for part in pair) if index.about.metric == "cosine" else pair
        others += some.paths[_differ(stored, new) | (not index.true_distances)].tolist()
    if others:
        other = "another vector" if index.true_distances else "the approximation of a vector"
        raise UserError(f"{len(others):,} of {len(more):,} paths are in {index.path} already with {other}, such as {others[0]}", f"--replace lets the new ones take their place. {_apart(others[0])}")


def _refuse_two_of_a_path(gallery: Embeddings) -> None:
    """Raises ``UserError`` where a path comes twice among new images, with two vectors."""
    first_of: dict[str, int] = {}
    pairs = [(row, first) for row, path in _named(gallery) if (first := first_of.setdefault(path, row)) != row]
    for row, first in pairs:
        if _differ(gallery.vectors[first : first + 1], gallery.vectors[row : row + 1]).any():
            path = (gallery.paths or ())[row]
            raise UserError(f"the path {path} comes twice, with two vectors", f"Leave one of the two out. {_apart(path)}")


def _apart(path: str) -> str:
    """A hint on how two images with the same path can get different ones."""
    way = "give the file that names no images another name" if _NUMBERED.search(path) else "embed both from the folder above them"
    return f"If they are two images, {way}, so that their paths differ."


def _named(some: Embeddings) -> Iterator[tuple[int, str]]:
    """Rows and paths of what goes into an index: all but junk."""
    for row, path in enumerate(some.paths or ()):
        if some.labels is None or some.labels[row] != JUNK:
            yield row, path


def _differ(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of N pairs of vectors are too far apart to be of the same image, bool ``(N,)``."""
    return np.linalg.norm(some - others, axis=1) > embeddings.SAME_IMAGE * np.linalg.norm(others, axis=1)


# --- what is read and told -------------------------------------------------------------------------------------------------


def _loaded(paths: Sequence[str]) -> Embeddings:
    """The embeddings of all files, joined in order; images without paths are named by their file and row."""
    import dataclasses

    parts, given = [], [Path(path) for path in paths]
    for path in given:
        part = embeddings.load_result_mat(path)[1] if path.suffix.lower() == ".mat" else embeddings.load(path)
        if part.paths is None:
            alone = not any(other.stem == path.stem and other != path for other in given)
            name = path.stem if alone else path.as_posix()
            print(f"{path} names no images: they are called {name}#0000000 and so on, by their row.")
            part = dataclasses.replace(part, paths=tuple(f"{name}#{row:07d}" for row in range(len(part))))
        parts.append(part)
    return embeddings.joined(parts)


def _paths(words: Sequence[str]) -> list[str]:
    """The given paths, and for each ``@FILE`` the paths that are listed in it."""
    paths: list[str] = []
    for word in words:
        if not word.startswith("@"):
            paths.append(word)
            continue
        try:
            paths += [line for line in Path(word[1:]).read_text(encoding="utf-8-sig").split("\n") if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read the list {word[1:]}: {getattr(error, 'strerror', None) or error}", "It is a text file with a path a line.") from None
    return paths


def _names(paths: Sequence[str]) -> dict[int, str]:
    return {label: name for path in paths for label, name in _read_names(path).items()}


def _read_names(path: str) -> dict[int, str]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            if not {"label", "name"} <= set(columns):
                raise UserError(f"{path} has no columns label and name (it has: {', '.join(columns) or 'none'})", "Its first line names them: label,name.")
            return {int(row["label"]): (row["name"] or "").strip() for row in reader}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "--names takes a CSV file with columns label and name.") from None
    except (UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read as labels and names: {error}", "--names takes a CSV file with columns label (a whole number) and name.") from None


def _but(added: Added) -> str:
    told = []
    if added.replaced:
        told.append(f"{added.replaced:,} of a path that had come before took the place of the earlier vector")
    if added.junk:
        told.append(f"{added.junk:,} of junk (label -1) left out")
    return f" ({'; '.join(told)})" if told else ""


def _about(index: Index) -> list[str]:
    """Lines on how exact it is, and on what it lacks."""
    facts = index.facts
    lines = list(facts.get("remarks", []))
    if not index.exact and "recall" in facts:
        effort = f", at effort {index.effort}" if index.effort else ""
        lines.append(f"recall@{facts['depth']} against exact search is {facts['recall']:.3f}, measured on images that it holds{effort}.")
    if not index.true_distances:
        lines.append("It keeps approximations of the vectors, so distances are approximate, and no probabilities are shown for them.")
    if not index.model:
        lines.append("The embeddings do not say which network made them: nothing can refuse queries of another one.")
    return lines


def _same_place(one: Place, other: Place | None) -> bool:
    return other is not None and (one.uri, one.collection) == (other.uri, other.collection)


def _left_behind(place: Place) -> str:
    """A line on the collection that the index had before. It is not dropped, since others may still search it through a copy of the index's file."""
    program = f"import os, pymilvus; pymilvus.MilvusClient({place.uri!r}, token=os.environ.get('MILVUS_TOKEN', '')).drop_collection({place.collection!r})"
    return f"Its former images stay in the collection {place.collection} at {place.uri}. Nobody else needs them? {shlex.join([python(), '-c', program])}"


def _readable(gallery: Embeddings) -> bool:
    return bool(gallery.paths) and os.path.isfile(gallery.paths[0])  # False for what is too long for a name, too
