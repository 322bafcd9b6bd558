"""Search results as one HTML file that needs no others: the pictures are in it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .. import files
from ..errors import UserError
from ..evaluation.scored import Track
from ..report.document import document
from ..report.html import missing, section
from ..report.lists import file_of, picture, shot
from ..report.words import count, percent

QUERIES = 100
"""Queries on a page at most, so that a browser can open it."""

_LARGEST, _QUALITY = 160, 80  # pixels and JPEG quality of a thumbnail


@dataclass(frozen=True)
class Shown:
    """A query and its hits.

    Args:
        name: how the query is called.
        file: where its image is.
        hits: as ``search.as_records`` makes them.
    """

    name: str
    file: Path
    hits: Sequence[Mapping[str, Any]]


def write(path: files.Pathlike, lists: Sequence[Shown], *, title: str, lead: str, root: Path | None, track: Track = iter) -> tuple[int, int]:
    """Writes the page.

    Args:
        path: the file.
        lists: the queries; those after the first ``QUERIES`` are left out, and the page says so.
        title: of the page.
        lead: what was searched, in a sentence.
        root: folder that the paths of hits are relative to; whatever paths an index holds, no file outside of it gets onto the page. None takes paths as they are.
        track: wraps the iteration over queries, for a progress bar.

    Returns:
        how many hits have no picture, since their image is gone or damaged, and how many there are.
    """
    pictures: dict[str, bytes | None] = {}

    def of(place: str, file: Path | None) -> bytes | None:
        if place not in pictures:
            pictures[place] = None
            if file is not None:
                with contextlib.suppress(UserError):
                    pictures[place] = picture(file, _LARGEST, _QUALITY)
        return pictures[place]

    parts, gone, total = [], 0, 0
    shown = lists[:QUERIES]
    for number in track(range(len(shown))):
        one = shown[number]
        jpegs = [of(hit["path"], file_of(hit["path"], []) if root is None else files.within(root, hit["path"])) for hit in one.hits]
        gone, total = gone + sum(jpeg is None for jpeg in jpegs), total + len(jpegs)
        parts.append(_as_html(one, of(f"query {one.file}", one.file), jpegs))
    notes = []
    if gone:
        notes.append(f'<p class="missing">{gone:,} of {total:,} images are not where they were, so that only their names are shown.</p>')
    if len(lists) > len(shown):
        notes.append(missing(f"The first {len(shown):,} of {len(lists):,} queries. All of them are in what this writes:", "--json FILE"))
    header = f'<header>\n<p class="kind">Search</p>\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n</header>'
    found = section(count(len(shown), "query", "queries"), *notes, *parts)
    files.write_text(path, document(title, header, [found], footer=". A near embedding is a hint and no proof of identity."), "--html")
    return gone, total


def _as_html(shown: Shown, query: bytes | None, jpegs: Sequence[bytes | None]) -> str:
    items = []
    for hit, jpeg in zip(shown.hits, jpegs, strict=True):
        lines = [f"<b>{hit['rank']}</b>", f"{hit['distance']:.3g}"]
        if hit["probability"] is not None:
            lines[0] += f" · {escape(percent(hit['probability'], 0))} %"
        if hit["camera"] is not None:
            lines.append(f"camera {hit['camera']}")
        if hit["label"] is not None:
            lines.append(escape(hit["name"] or f"label {hit['label']}"))
        items.append(f'<li>{shot(jpeg, hit["path"], "found")}<span class="caption">{"<br>".join(lines)}</span></li>')
    told = f"<b>{escape(shown.name)}</b>" if items else f"<b>{escape(shown.name)}</b>: nothing was found"
    asked = shot(query, shown.name, "query") + '<span class="caption"><b>query</b></span>'
    return f'<div class="list">\n<p>{told}</p>\n<div class="query">{asked}</div>\n<ol class="found">{"".join(items)}</ol>\n</div>'
