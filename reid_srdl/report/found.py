"""The ranked lists of some queries: the best, the worst, some drawn at random, and many to look through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..evaluation.scored import Track
from . import browse, lists
from .again import reporting, scoring
from .evaluated import Evaluated, how_ranked
from .html import missing, section

NOT_KEPT = "The embeddings of queries and gallery were not kept. They come from"


def chosen(evaluated: Evaluated | None, seed: int) -> lists.Choice | None:
    """The queries whose lists are shown; none where the embeddings or their paths are missing."""
    if evaluated is None or evaluated.ranked is None:
        return None
    query, gallery, result, _ = evaluated.ranked
    if query.paths is None or gallery.paths is None:
        return None
    return lists.choose(result.ap, query.labels, seed=seed)


def found_section(run: Path, evaluated: Evaluated | None, roots: Sequence[Path], seed: int, data_root: str | None = None) -> str:
    """A few lists with large pictures; empty where nothing is ranked. ``data_root`` is where the images were said to be."""
    title = "What was found"
    if evaluated is None or evaluated.classifies:
        return ""
    again = scoring(run, evaluated)
    if evaluated.ranked is None:
        return section(title, missing(NOT_KEPT, again))
    shown = chosen(evaluated, seed)
    if shown is None:
        return section(title, missing("The embeddings do not say which images they are of. Those of this project do:", again))
    query, gallery, result, _ = evaluated.ranked
    groups = {
        "The best": ("Queries with the highest average precision", shown.best),
        "Drawn by chance": ("What is usual: queries from among all others", shown.drawn),
        "The worst": ("Queries with the lowest average precision", shown.worst),
    }
    how = how_ranked(evaluated.protocol)
    try:
        ranked = {name: lists.ranked_lists(query, gallery, result, rows, **how) for name, (_, rows) in groups.items() if rows}
    except UserError as error:  # faiss is an extra
        return section(title, missing(f"{error} Then", reporting(run, evaluated.dataset, data_root)))
    pictures = lists.pictures_of(lists.paths_in(one for some in ranked.values() for one in some), roots)
    parts = [f'<p class="note">A query, and the nearest {lists.DEPTH} gallery images, nearest first: each with its distance and its camera.</p>', lists.LEGEND]
    if not evaluated.by_distance:
        parts.append('<p class="note">By the distances alone, without the expanded queries or the re-ranking of the scores above.</p>')
    if not pictures:
        parts.append(missing("The images are not where they were, so only their names are shown. Say where the data set is:", reporting(run, evaluated.dataset, "DIR")))
    for name, some in ranked.items():
        parts.append(f'<h3>{name}</h3>\n<p class="note">{groups[name][0]}</p>')
        parts += [lists.as_html(one, pictures) for one in some]
    return section(title, *parts)


def browse_section(evaluated: Evaluated | None, roots: Sequence[Path], seed: int, *, queries: int, budget: int, track: Track = iter) -> str:
    """Many lists with filters, in at most ``budget`` bytes; empty where there is none to show (``found_section`` says why)."""
    if chosen(evaluated, seed) is None:
        return ""
    assert evaluated is not None and evaluated.ranked is not None
    first = evaluated.ranked.result.first
    rows = browse.choose(first, most=queries, seed=seed)
    script = browse.script("browse.js")
    try:
        data = browse.gather(evaluated.ranked, rows.tolist(), roots, budget=budget - len(script.encode()) - _FRAME, track=track, **how_ranked(evaluated.protocol))
    except UserError:
        return ""
    if not data["queries"]:
        return ""
    return section("More queries", browse.as_html(data, np.asarray(first), asked=len(rows), seed=seed), script)


_FRAME = 6000
"""Bytes that the filters and the words around the lists take at most."""
