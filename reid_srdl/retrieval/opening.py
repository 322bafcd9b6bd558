"""The two ways to an index: to build it, and to open it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import files
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation.tiles import Metric
from ..registered import function_of
from ..shell import command
from .cosine import CosineIndex, at_unit_length
from .index import About, Added, Index, Track
from .keeping import backend_of, check_free, readable

BACKENDS: dict[str, str] = {
    "faiss": "reid_srdl.retrieval.faiss_index:FaissIndex",
    "milvus": "reid_srdl.retrieval.milvus_index:MilvusIndex",
}
"""Name to ``"module:class"``; each has ``create``, and ``open(path, *, token=None)``."""


def create_index(
    path: files.Pathlike,
    embeddings: Embeddings,
    *,
    backend: str = "faiss",
    root: str | None = None,
    names: Mapping[int, str] | None = None,
    metric: Metric = "euclidean",
    replace: bool = False,
    track: Track = iter,
    **options: Any,
) -> tuple[Index, Added]:
    """Builds an index of embeddings.

    Args:
        path: the index's file; with Milvus this is a small JSON that says where the collection is.
        embeddings: N images; rows of label -1 (junk) are left out, and images without paths are named by their row.
        backend: ``faiss`` or ``milvus``.
        root: folder that the paths are relative to.
        names: words for labels.
        metric: ``euclidean`` (squared), or ``cosine``, which BNNeck networks want: the vectors are then kept at length 1.
        replace: overwrite an existing index and, with Milvus, drop its collection; a collection of that name that belongs to another index is refused.
        track: for a progress bar.
        options: for faiss ``factory`` and ``effort``, for Milvus ``uri``, ``collection`` and ``token``.

    Raises:
        UserError: an index is there already, no images, a backend or option that does not fit, a library that is not installed.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder", "Name a file for the index, such as gallery.index.")
    check_free(path, replace)  # backends check again under the lock, since another process may build it meanwhile
    about = About(embeddings.model, embeddings.dimension, root, dict(names or {}), metric, embeddings.flip)
    kept = at_unit_length(embeddings) if metric == "cosine" else embeddings
    index, added = _class_of(backend).create(path, kept, about, replace=replace, track=track, **options)
    return _by_its_metric(index), added


def open_index(path: files.Pathlike, *, token: str | None = None) -> Index:
    """Opens an index that ``create_index`` built, whatever its backend.

    Args:
        path: its file.
        token: for a Milvus that asks for one, ``USER:PASSWORD`` or a key; none means ``$MILVUS_TOKEN``, if the address in the file is ``$MILVUS_URI``.

    Raises:
        UserError: not there, damaged, of another format, or its Milvus does not answer.
    """
    path = Path(path)
    with readable(path):
        if not path.is_file():
            raise UserError(f"there is no index {path}", f"Build one: {command('index', '--embeddings', 'FILE', '--output', path)}")
        backend = backend_of(path)
    return _by_its_metric(_class_of(backend).open(path, token=token))


def _by_its_metric(index: Index) -> Index:
    return CosineIndex(index) if index.about.metric == "cosine" else index


def _class_of(backend: str) -> Any:
    if backend not in BACKENDS:
        raise UserError(f"there is no backend {backend!r}", f"There are {', '.join(BACKENDS)}.")
    return function_of(BACKENDS[backend])
