"""Many ranked lists to look through, with filters: data for ``browse.js``, which shows them."""

from __future__ import annotations

import base64
import contextlib
import importlib.resources
import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import UserError
from ..seeds import derive
from . import lists
from .evaluated import Ranked
from .words import count

QUERIES = 200
KINDS = ("match", "mistake", "distractor")
"""What the numbers of kinds in the data stand for, in order."""

_LARGEST, _QUALITY = 128, 75  # pixels and JPEG quality of a thumbnail
_STEP = 20  # queries that are searched for together


def choose(first: np.ndarray, *, most: int = QUERIES, seed: int = 0) -> np.ndarray:
    """Rows of the queries that are shown: failures and successes in turns, each kind drawn at random.

    A failure is a query whose nearest item is no match. Half of the queries are failures, and half are successes; where there are
    fewer of a kind, the other fills up. Queries without a match are never shown.

    Args:
        first: ``(Q,)``, rank of the nearest match; NaN without one.
        most: queries at most.
        seed: of the draw.

    Returns:
        int64; where there is no room for all queries, the last ones are left out.
    """
    rng = np.random.default_rng(derive(seed, "browse"))
    failures, successes = rng.permutation(np.flatnonzero(first > 1)), rng.permutation(np.flatnonzero(first == 1))
    turn = np.concatenate([2 * np.arange(len(failures)), 2 * np.arange(len(successes)) + 1])
    return np.concatenate([failures, successes])[np.argsort(turn, kind="stable")][:most].astype(np.int64)


def gather(
    ranked: Ranked,
    rows: Sequence[int],
    roots: Sequence[Path],
    *,
    budget: int,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
    **how: Any,
) -> dict[str, Any]:
    """The data that the page shows, ready for JSON; every image is in it once.

    Args:
        ranked: queries, gallery and ranks.
        rows: of the queries, the most wanted first.
        roots: folders of the data set; of an image that is missing there, only the name is shown.
        budget: bytes that the JSON may have; the first query that would not fit and all after it are left out.
        track: wraps the iteration, for a progress bar.
        how: ``metric`` and ``same_camera``.

    Returns:
        ``names`` and ``jpegs`` (base64, empty where there is none) of the images, and ``queries``: ``image`` (its number), ``camera``, ``person``, ``ap``, ``first``
        (rank of the nearest match), ``matches``, ``seen_by`` (camera of the nearest match) and ``found``, nearest first: number of the image,
        distance, camera, number of its kind.

    Raises:
        UserError: faiss is not installed.
    """
    numbers: dict[str, int] = {}
    data: dict[str, Any] = {"names": [], "jpegs": [], "queries": []}
    used = len(_spelled(data))
    for start in track(range(0, len(rows), _STEP)):
        some = list(rows[start : start + _STEP])
        for row, shown in zip(some, lists.ranked_lists(ranked.query, ranked.gallery, ranked.result, some, **how), strict=True):
            new = [path for path in dict.fromkeys(lists.paths_in([shown])) if path not in numbers]
            places = numbers | {path: len(numbers) + number for number, path in enumerate(new)}
            query = _record(ranked, row, shown, places)
            jpegs, names = [_thumbnail(path, roots) for path in new], [_name(path) for path in new]
            needs = sum(len(_spelled(value)) + 1 for value in (query, *jpegs, *names))
            if used + needs > budget:
                return data
            used, numbers = used + needs, places
            data["queries"].append(query), data["names"].extend(names), data["jpegs"].extend(jpegs)
    return data


def _record(ranked: Ranked, row: int, shown: lists.RankedList, places: dict[str, int]) -> dict[str, Any]:
    nearest = ranked.positions[ranked.result.starts[row]]
    cameras = ranked.gallery.cameras
    return {
        "image": places[shown.path],
        "camera": shown.camera,
        "person": int(ranked.query.labels[row]),
        "ap": round(shown.ap, 4),
        "first": shown.first,
        "matches": shown.matches,
        "seen_by": None if cameras is None else int(cameras[nearest]),
        "found": [[places[item.path], float(f"{item.distance:.3g}"), item.camera, KINDS.index(item.frame)] for item in shown.found],
    }


def _name(path: str) -> str:
    """The file's name, with its folder where that is no split's: it may be a person, in each of whose folders files have the same names."""
    parts = Path(path).parts
    return "/".join(parts[-2:]) if len(parts) > 2 else parts[-1]


def _thumbnail(path: str, roots: Sequence[Path]) -> str:
    file = lists.file_of(path, roots)
    if file is not None:
        with contextlib.suppress(UserError):
            return base64.b64encode(lists.picture(file, _LARGEST, _QUALITY)).decode()
    return ""


def as_html(data: dict[str, Any], first: np.ndarray, *, asked: int, seed: int) -> str:
    """The filters and the data, for ``browse.js``; the classes are those of ``page.css``.

    Args:
        data: as ``gather`` made it.
        first: of all queries, for the words.
        asked: how many queries were to be shown.
        seed: with which they were drawn.
    """
    failures = sum(query["first"] > 1 for query in data["queries"])
    shown, all_failures, all_successes = len(data["queries"]), int((first > 1).sum()), int((first == 1).sum())
    about = (
        f"{failures:,} of the {count(all_failures, 'failure')} (the nearest image is of somebody else) and {shown - failures:,} of the {count(all_successes, 'success', 'successes')}, "
        f"by turns and drawn by chance (seed {seed}) so that both are there: the shares of this list are not those of the scores."
    )
    room = f" {asked - shown:,} more were drawn, for which there was no room in a page of this size." if shown < asked else ""
    return (
        f'<p class="note">{escape(about + room)}</p>\n<noscript><p class="missing">The lists are shown by a script in this file, and scripts are turned off here.</p></noscript>\n'
        f'<div id="browse" hidden>\n<form class="filters">{_FILTERS}</form>\n{_PAGER}\n<div class="lists"></div>\n{_PAGER}\n</div>\n'
        f'<script type="application/json" id="browse-data">{_spelled(data).decode()}</script>'
    )


def _spelled(value: Any) -> bytes:
    # In a script element only < could end it early, so it is written as JSON's escape; utf8 does so for parts of names that are no text.
    return files.utf8(json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"))


_FILTERS = (
    '<label>Show <select name="kind"><option value="">all queries</option><option value="failures">failures only</option><option value="successes">successes only</option></select></label>'
    '<label>Cameras <select name="cameras"><option value="">all pairs</option></select></label>'
    '<label>Name <input name="name" type="search" placeholder="part of a file name" autocomplete="off" spellcheck="false"></label>'
    '<label>Order <select name="order"><option value="worst">worst first</option><option value="best">best first</option><option value="name">by name</option></select></label>'
)
_PAGER = (
    '<nav class="pager" aria-label="Pages of ranked lists"><button type="button" data-step="-1">← Back</button>'
    '<span role="status"></span><button type="button" data-step="1">Next →</button></nav>'
)


def script(name: str) -> str:
    """One of the scripts of this folder, as an element."""
    text = importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return f"<script>\n{text}</script>"
