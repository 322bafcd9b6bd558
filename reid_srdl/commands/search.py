"""Search an index by images: who of the gallery is most like them, as a table and as a page with pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from .. import config as configuration
from .. import files, retrieval
from ..errors import UserError, shown
from ..models.exported import InputOptions
from ..report.words import count, percent
from ..shell import command
from .image_list import Listed, list_images
from .options import require

if TYPE_CHECKING:
    from ..retrieval import Index
    from ..retrieval.search import Wanted


_UNFOLDED = 10_000
"""Columns where no terminal says how many it has: in a file or a pipe, a path stays on its line."""


@dataclass(frozen=True)
class SearchOptions:
    """Search an index by images.

    Args:
        index: that the command index built.
        checkpoint: the run (or file) whose network embedded the gallery.
        query: an image, a folder of images, a pattern in quotes, or a CSV file with a column path.
        top_k: images a query.
        camera: only images of these cameras, as many numbers as follow.
        expand: average each query with so many of its nearest images first (average query expansion).
        rerank: order the nearest by k-reciprocal re-ranking (Zhong et al. 2017).
        candidates: nearest images a query that are re-ranked.
        html: a page to write, with pictures, that needs nothing beside it.
        json: a file to write all hits into.
        images: folder that the paths of the index are relative to, where it has moved.
        flip: average the embeddings of the query and its mirror; null does as was done for the index, where it knows that.
        milvus_token: of a Milvus that asks for one; null means ``$MILVUS_TOKEN``, which goes to no address but ``$MILVUS_URI``: an index file may name a stranger's.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        input: what an exported file from elsewhere takes.
    """

    index: Optional[str] = None
    checkpoint: Optional[str] = None
    query: Optional[str] = None
    top_k: int = 20
    camera: Optional[tuple[int, ...]] = None
    expand: int = 0
    rerank: bool = False
    candidates: int = 200
    html: Optional[str] = None
    json: Optional[str] = None
    images: Optional[str] = None
    flip: Optional[bool] = None
    milvus_token: Optional[str] = None
    device: str = "auto"
    input: InputOptions = InputOptions()


def run(argv: list[str]) -> int:
    """``--index INDEX --checkpoint RUN --query IMAGE_OR_FOLDER`` and their options."""
    options = configuration.parse(SearchOptions, argv, prog="search")
    require(options, ("index", "checkpoint", "query"), "search", "For instance: search --index gallery.index --checkpoint runs/demo --query photo.jpg")
    if options.images is not None and not files.expanded(options.images).is_dir():
        raise UserError(f"there is no folder {options.images}", "Name the one that the paths of the index are relative to.")
    if options.camera is not None and not options.camera:
        raise UserError("--camera names no camera", "Give one or more numbers, or leave it out.")
    if not options.rerank and options.candidates != SearchOptions().candidates:
        raise UserError("--candidates means nothing without --rerank", "Add --rerank, or leave it out.")
    queries = _queries(str(options.query))

    from .. import runs
    from ..evaluation.rerank import PAPER
    from ..progress import tracked
    from ..retrieval import search

    wanted = search.Wanted(options.top_k, options.camera, options.expand, PAPER if options.rerank else None, options.candidates)
    wanted.check()
    index = retrieval.open_index(str(options.index), token=options.milvus_token)
    try:
        trained = runs.load(str(options.checkpoint), options.device, input=options.input)
        search.check_network(trained, index.about, index.path, options.checkpoint)
        flip = search.mirrored(index, options.flip)
        vectors = trained.embed(queries.files, flip=flip, track=tracked("embedding"))
        # That took its time: the index may have been built anew, and the former one be gone.
        index.refresh(lambda about: search.check_network(trained, about, index.path, str(options.checkpoint)))
        search.mirrored(index, flip)
        calibration, why_not = search.calibration_for(index, trained, flip=flip)
        found = search.find(index, vectors, wanted, calibration, track=tracked("searching"))
        records = [search.as_records(found, row, index) for row in range(len(queries))]
        for name, hits in zip(queries.paths, records, strict=True):
            _show(name, hits)
        if calibration is not None:
            why_not = wanted.why_no_probability
        prior = calibration.prior if calibration is not None and not why_not else None
        anything = any(records)
        if prior is not None and anything:
            print(f"{_at(prior)} In a large gallery few are: the command calibrate has --prior.")
        if why_not:
            print(f"No probabilities are shown: {why_not}.")
        if not index.model:
            print(f"{options.index} does not say which network made it: that {options.checkpoint} did is taken on trust.")
        if search.other_distance(index, trained):
            print(search.other_distance(index, trained))
        for line in search.remarks(found, wanted, queries.paths, index):
            print(line)
        if anything or options.json or options.html:
            _write(options, argv, index, queries, records, wanted, prior, flip, why_not)
        elif options.camera is not None:
            print(f"It has images of the cameras {', '.join(map(str, index.cameras()))}.")
    finally:
        index.close()
    return 0


def _queries(where: str) -> Listed:
    """The query images. A file is taken by its exact name, so that brackets in it are no pattern."""
    path = files.expanded(where)
    if path.is_file() and path.suffix.lower() != ".csv":
        return Listed([path], [path.name])
    return list_images(where)


def _show(name: str, hits: Sequence[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ..progress import terminal

    if not hits:
        print(f"{shown(name)}: nothing was found.")
        return
    sure, again = hits[0]["probability"] is not None, hits[0]["reranked"] is not None
    table = Table(title=escape(shown(name)), title_justify="left")
    for column in ("rank", "distance", *(["probability"] if sure else []), *(["re-ranked"] if again else [])):
        table.add_column(column, justify="right")
    table.add_column("path", overflow="fold")
    table.add_column("camera", justify="right")
    table.add_column("label", justify="right", overflow="fold")
    for hit in hits:
        numbers = [f"{hit['rank']}", f"{hit['distance']:.4g}", *([f"{percent(hit['probability'])}%"] if sure else []), *([f"{hit['reranked']:.3f}"] if again else [])]
        label = hit["name"] or ("–" if hit["label"] is None else str(hit["label"]))
        table.add_row(*numbers, escape(shown(hit["path"])), "–" if hit["camera"] is None else str(hit["camera"]), escape(shown(label)))
    terminal(**({} if sys.stdout.isatty() else {"width": _UNFOLDED})).print(table)


def _write(options: SearchOptions, argv: Sequence[str], index: Index, queries: Listed, records: list[list[dict[str, Any]]], wanted: Wanted, prior: float | None, flip: bool, why_not: str) -> None:
    if options.json:
        found = [{"query": name, "hits": hits} for name, hits in zip(queries.paths, records, strict=True)]
        how = {"top_k": wanted.top_k, "cameras": wanted.cameras, "expand": wanted.expand, "rerank": options.rerank, "flip": flip}
        files.write_json(options.json, {"index": str(index.path), "model": index.model, "distance": index.about.distance, "prior": prior, **how, "queries": found}, "--json")
        print(f"All hits are in {options.json}.")
    if options.html:
        _page(options, index, queries, records, prior, why_not)
    elif not options.json:
        words = argv if options.milvus_token is None else [word for word in argv if options.milvus_token not in word and word != "--milvus_token"]
        print("Next, see the pictures:", command("search", *words, "--html", "found.html"))


def _at(prior: float) -> str:
    return f"Probabilities are those where {prior:g} of all pairs are genuine."


def _page(options: SearchOptions, index: Index, queries: Listed, records: list[list[dict[str, Any]]], prior: float | None, why_not: str) -> None:
    from ..progress import tracked
    from ..retrieval import page

    lists = [page.Shown(name, file, hits) for name, file, hits in zip(queries.paths, queries.files, records, strict=True)]
    root = files.expanded(options.images) if options.images else index.about.root
    order = "ordered by k-reciprocal re-ranking" if options.rerank else "nearest first"
    seen = f" of camera {', '.join(map(str, options.camera))}" if options.camera else ""
    lead = f"The {options.top_k} nearest images{seen} among {len(index):,}, {order}: each with its distance ({index.about.distance})."
    lead += f" Each query was averaged with its {count(options.expand, 'nearest image')} first (query expansion)." if options.expand else ""
    lead += f" {_at(prior)}" if prior is not None else f" No probabilities are shown: {why_not}." if why_not else ""
    gone, total = page.write(str(options.html), lists, title=index.path.name, lead=lead, root=Path(root) if root else None, track=tracked("drawing"))
    if gone:
        where = f"are not in {root}, or are links that lead out of it" if root else "were not found"
        print(f"{gone:,} of {total:,} pictures {where}, so their names stand there: name the folder of the images with --images.")
    if len(lists) > page.QUERIES:
        print(f"The page shows the first {page.QUERIES:,} of {len(lists):,} queries; {options.json or '--json FILE'} holds all.")
    print(f"The pictures are in {options.html} (open it in a browser).")
