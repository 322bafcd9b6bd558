"""Which queries are shown, and what was found for them."""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from .. import pictures
from ..data.decoding import decode
from ..data.matches import MATCH, states
from ..data.records import DISTRACTOR
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation.neighbours import neighbours
from ..evaluation.result import RankResult
from ..pictures import Frame
from ..seeds import derive
from .words import count

DEPTH = 10
"""Gallery items in a list."""

MEANING = {"match": "the same person", "mistake": "another person", "distractor": "a distractor"}
MARKS = {"match": "✓", "mistake": "✗", "distractor": "–"}  # for readers who cannot tell the colours apart
_LARGEST = 224  # pixels; most crops are smaller


@dataclass(frozen=True)
class Choice:
    """Rows of the queries that are shown: the best and the worst by AP, and some drawn at random from all others."""

    best: tuple[int, ...]
    worst: tuple[int, ...]
    drawn: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """A gallery item in the list of a query; ``frame`` says whether it is a match, a mistake or a distractor."""

    path: str
    camera: int | None
    distance: float
    frame: Frame


@dataclass(frozen=True)
class RankedList:
    """What was found for a query, nearest first.

    Args:
        path: of the query.
        camera: that took it, where known.
        ap: average precision, 0 to 1.
        first: rank of the nearest match.
        matches: in the whole gallery.
        found: the nearest gallery items, without those that the protocol ignores for this query.
    """

    path: str
    camera: int | None
    ap: float
    first: int
    matches: int
    found: tuple[Found, ...]


def choose(ap: np.ndarray, labels: np.ndarray, *, count: int = 4, seed: int = 0) -> Choice:
    """The best, the worst, and a draw from the others.

    Among queries of equal AP the choice is random, and no person is shown twice as long as there are others. Queries without
    a match are never shown.

    Args:
        ap: ``(Q,)``; NaN without a match.
        labels: int64 ``(Q,)``.
        count: queries of each kind, or a third of those with a match where that is less.
        seed: of the random choice.
    """
    chance = np.random.default_rng(derive(seed, "lists")).permutation(np.flatnonzero(~np.isnan(ap)))
    count = min(count, -(-len(chance) // 3))
    ascending = chance[np.argsort(ap[chance], kind="stable")]
    taken: list[int] = []

    def take(order: np.ndarray) -> tuple[int, ...]:
        seen = {int(labels[row]) for row in taken}
        rows: list[int] = []
        for others_only in (True, False):
            for row in order.tolist():
                if len(rows) == count:
                    break
                if row in taken or row in rows or (others_only and int(labels[row]) in seen):
                    continue
                rows.append(row)
                seen.add(int(labels[row]))
        taken.extend(rows)
        return tuple(rows)

    return Choice(best=take(ascending[::-1]), worst=take(ascending), drawn=take(chance))


def ranked_lists(
    query: Embeddings,
    gallery: Embeddings,
    result: RankResult,
    rows: Sequence[int],
    *,
    depth: int = DEPTH,
    metric: str = "euclidean",
    same_camera: bool = False,
) -> list[RankedList]:
    """The lists of some queries.

    Args:
        query: Q queries with paths and labels.
        gallery: G items, alike.
        result: the ranks of the queries' matches in the gallery.
        rows: of the queries whose lists are made.
        depth: items in each list, fewer where the gallery has fewer.
        metric, same_camera: as in ``rank``.
    """
    rows = list(rows)
    chosen = query.take(np.array(rows, dtype=np.int64))
    found = neighbours(chosen, gallery, depth, metric=metric, same_camera=same_camera)
    cameras = (_cameras(chosen), _cameras(gallery))
    lists = []
    for number, row in enumerate(rows):
        existing = found.positions[number] >= 0
        positions, distances = found.positions[number][existing], found.distances[number][existing]
        kinds = states(
            chosen.labels[number : number + 1], cameras[0][number : number + 1],
            gallery.labels[positions], cameras[1][positions], same_camera=same_camera,
        )[0]  # fmt: skip
        lists.append(
            RankedList(
                path=chosen.paths[number],
                camera=_camera(chosen, number),
                ap=float(result.ap[row]),
                first=int(result.first[row]),
                matches=len(result.ranks_of(row)),
                found=tuple(
                    Found(gallery.paths[position], _camera(gallery, position), float(distance), _frame(kind, gallery.labels[position]))
                    for position, distance, kind in zip(positions.tolist(), distances, kinds, strict=True)
                ),
            )
        )
    return lists


def _frame(kind: int, label: int) -> Frame:
    if kind == MATCH:
        return "match"
    return "distractor" if label == DISTRACTOR else "mistake"


def _cameras(embeddings: Embeddings) -> np.ndarray:
    return np.zeros(len(embeddings), dtype=np.int64) if embeddings.cameras is None else embeddings.cameras


def _camera(embeddings: Embeddings, row: int) -> int | None:
    return None if embeddings.cameras is None else int(embeddings.cameras[row])


def picture(file: Path, largest: int = _LARGEST, quality: int = 85) -> bytes:
    """An image as a JPEG of at most ``largest`` pixels a side. Raises ``UserError`` where it cannot be read."""
    image = decode(file, None)
    height, width = image.shape[:2]
    scale = largest / max(height, width)
    if scale < 1:
        image = pictures.fit(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    return pictures.encode(image, "jpg", quality=quality)


def file_of(path: str, roots: Sequence[Path]) -> Path | None:
    """The file of a path that is absolute or relative to one of ``roots``; none where there is no such file."""
    return next((root / path for root in (*roots, Path()) if os.path.isfile(root / path)), None)


def pictures_of(paths: Iterable[str], roots: Sequence[Path]) -> dict[str, bytes]:
    """The picture of each path as a JPEG; missing and damaged files are left out.

    Args:
        paths: absolute, or relative to one of ``roots``.
        roots: folders of the data set.
    """
    found = {}
    for path in dict.fromkeys(paths):
        file = file_of(path, roots)
        if file is not None:
            with contextlib.suppress(UserError):
                found[path] = picture(file)
    return found


def paths_in(lists: Iterable[RankedList]) -> list[str]:
    """The paths of the queries and of all gallery items in their lists."""
    return [path for shown in lists for path in (shown.path, *(item.path for item in shown.found))]


LEGEND = (
    '<ul class="legend">'
    + "".join(f'<li><i class="{frame}"></i>{MARKS[frame]} {meaning}</li>' for frame, meaning in MEANING.items())
    + "</ul>"
)
"""What the frames mean, as HTML."""


def as_html(shown: RankedList, jpegs: Mapping[str, bytes]) -> str:
    """A list as HTML with the classes of ``page.css``. Images without a picture in ``jpegs`` show their paths."""
    matches = count(shown.matches, "match", "matches")
    told = f"<b>AP {100 * shown.ap:.1f} %</b>, first of {matches} at rank {shown.first:,}"
    query = shot(jpegs.get(shown.path), shown.path, "query") + f'<span class="caption"><b>query</b>{_seen_by(shown.camera)}</span>'
    items = []
    for place, item in enumerate(shown.found, start=1):
        caption = f"<b>{place} {MARKS[item.frame]}</b><br>{item.distance:.3g}{_seen_by(item.camera)}"
        items.append(f'<li class="{item.frame}">{shot(jpegs.get(item.path), item.path, MEANING[item.frame])}<span class="caption">{caption}</span></li>')
    return f'<div class="list">\n<p>{told}</p>\n<div class="query">{query}</div>\n<ol class="found">{"".join(items)}</ol>\n</div>'


def _seen_by(camera: int | None) -> str:
    return "" if camera is None else f"<br>camera {camera}"


def shot(jpeg: bytes | None, path: str, meaning: str) -> str:
    """A picture in its frame as HTML, or the image's whole path where there is none, since many folders may have files of the same name."""
    name = escape(path)
    if jpeg is None:
        return f'<span class="shot"><span class="gone">{name}</span></span>'
    return f'<span class="shot"><img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="{escape(meaning)}: {name}" title="{name}"></span>'
