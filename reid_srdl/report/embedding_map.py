"""A map of the embeddings of some people: each image is a point, and images that the network finds alike lie near each other."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import numpy as np

from ..data.records import DISTRACTOR
from ..embeddings import Embeddings
from ..evaluation.flat_index import unit_length
from ..seeds import derive
from .evaluated import Evaluated
from .html import section
from .words import count

By = Literal["umap", "tsne"]

PEOPLE = 24
IMAGES = 30
"""Images of a person at most, so that nobody covers the others."""
NAMES = {"umap": "UMAP (McInnes, Healy, Melville 2018)", "tsne": "t-SNE (van der Maaten, Hinton 2008)"}

_SIZE, _MARGIN = (760, 520), 18
_FEWEST = 5  # points that a map can be made of
_SHAPES = (
    '<circle r="5"/>', '<path d="M-4.6-4.6h9.2v9.2h-9.2z"/>', '<path d="M0-6 5.8 4.4H-5.8z"/>', '<path d="M0-6.4 6.4 0 0 6.4-6.4 0z"/>',
    '<path d="M0 6 5.8-4.4H-5.8z"/>', '<path d="M-1.9-6h3.8v4.1H6v3.8H1.9V6h-3.8V1.9H-6v-3.8h4.1z"/>',
    '<path d="M0-6.4 1.7-2 6.3-1.9 2.7 1 4 5.4 0 2.9-4 5.4-2.7 1-6.3-1.9-1.7-2z"/>', '<path d="M-5.2-3 0-6 5.2-3V3L0 6-5.2 3z"/>',
)  # fmt: skip
"""Shapes of the first eight cameras, about 12 wide around the origin; the ninth camera has the first shape again, and so on."""


@dataclass(frozen=True, eq=False)
class Map:
    """N images of some people on a plane.

    Args:
        points: float64 ``(N, 2)``.
        labels: int64 ``(N,)``.
        cameras: int64 ``(N,)``; none where unknown.
        paths: N; none where unknown.
        by: the method that made it.
    """

    points: np.ndarray
    labels: np.ndarray
    cameras: np.ndarray | None
    paths: tuple[str, ...] | None
    by: By


def usual() -> By:
    """UMAP where it is installed (the extra maps) and can be imported, else t-SNE."""
    if importlib.util.find_spec("umap") is None:
        return "tsne"
    try:
        _umap()
    except Exception:  # importing it fails without a folder that its compiler can write into, with an unknown version of NumPy, and so on
        return "tsne"
    return "umap"


def _umap() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed")
        import umap
    return umap


def choose(labels: np.ndarray, *, people: int = PEOPLE, images: int = IMAGES, seed: int = 0) -> np.ndarray:
    """Rows of images of the people with most images, ascending; among people with equally many, and among a person's images, the choice is random.

    Args:
        labels: int64 ``(N,)``; distractors and junk are left out.
        people, images: people at most, and images of each at most.
        seed: of the random choice.
    """
    rng = np.random.default_rng(derive(seed, "people on the map"))
    known, counts = np.unique(labels[labels > DISTRACTOR], return_counts=True)
    order = rng.permutation(len(known))
    chosen = known[order[np.argsort(-counts[order], kind="stable")]][:people]
    rows = [np.flatnonzero(labels == label) for label in chosen]
    return np.sort(np.concatenate([rng.permutation(some)[:images] for some in rows])) if rows else np.zeros(0, dtype=np.int64)


def project(vectors: np.ndarray, by: By, *, seed: int = 0) -> np.ndarray:
    """Maps ``(N, D)`` to float64 ``(N, 2)``, N at least 5; on one machine the same numbers and seed give the same map."""
    near = max(2, min(30, (len(vectors) - 1) // 3))
    state = derive(seed, "map") % 2**32  # both libraries take seeds of 32 bits
    if by == "umap":
        import warnings

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_jobs value")  # with a seed it uses one thread, and says so
            points = _umap().UMAP(n_neighbors=min(15, near), min_dist=0.3, init="pca", random_state=state).fit_transform(vectors)
    else:
        from sklearn.manifold import TSNE

        points = TSNE(perplexity=near, init="pca", random_state=state).fit_transform(vectors)
    return np.asarray(points, dtype=np.float64)


def embedding_map(query: Embeddings, gallery: Embeddings, *, metric: str = "euclidean", by: By | None = None, seed: int = 0) -> Map | None:
    """The map of query and gallery images together; none where there are too few.

    Args:
        query, gallery: with labels.
        metric: with ``cosine`` each vector is first scaled to length 1.
        by: the method; ``usual`` if not given.
        seed: of the choice of images and of the map.
    """
    parts = (query, gallery)
    labels = np.concatenate([part.labels for part in parts])
    rows = choose(labels, seed=seed)
    vectors = np.concatenate([part.vectors for part in parts])[rows]
    if vectors.shape[1] < 2 or len(np.unique(vectors, axis=0)) < _FEWEST:
        return None
    by = by or usual()
    points = project(unit_length(vectors) if metric == "cosine" else vectors, by, seed=seed)
    cameras = np.concatenate([part.cameras for part in parts])[rows] if all(part.cameras is not None for part in parts) else None
    paths = [path for part in parts for path in part.paths or ()]
    return Map(points, labels[rows], cameras, tuple(paths[row] for row in rows) if len(paths) == len(labels) else None, by)


def map_section(evaluated: Evaluated | None, *, seed: int, by: By | None = None) -> str:
    """The map with its legends; empty where there are no embeddings (``found_section`` says how they are kept)."""
    if evaluated is None or evaluated.ranked is None:
        return ""
    title = "A map of some people"
    query, gallery, *_ = evaluated.ranked
    made = embedding_map(query, gallery, metric=evaluated.protocol.get("metric", "euclidean"), by=by, seed=seed)
    if made is None:
        return section(title, '<p class="note">There are too few different images of people for a map.</p>')
    people = np.unique(made.labels)
    about = (
        f"{count(len(made.labels), 'image')} (queries and gallery) of the {count(len(people), 'person', 'people')} with most images, at most {IMAGES} of each; by {NAMES[made.by]}, "
        f"seed {seed}. A colour is a person, a shape a camera. Neighbours can be trusted; how far apart distant points are, and how large a cloud is, means little."
    )
    legend = _cameras_legend(made) + _people_legend(people)
    return section(title, f'<p class="note">{escape(about)}</p>', f'<figure class="map">{as_svg(made)}</figure>', legend)


def as_svg(made: Map) -> str:
    """The map as one ``<svg>``: points with their names on hover, and each person's label in the middle of the points."""
    people, places = np.unique(made.labels), _placed(made.points)
    cameras = np.unique(made.cameras) if made.cameras is not None else np.zeros(1)
    shape = np.searchsorted(cameras, made.cameras) % len(_SHAPES) if made.cameras is not None else np.zeros(len(made.labels), dtype=int)
    groups = []
    for number, label in enumerate(people):
        rows = np.flatnonzero(made.labels == label)
        marks = "".join(
            f'<use href="#shape{shape[row]}" x="{places[row, 0]:.1f}" y="{places[row, 1]:.1f}"><title>{escape(_named(made, row))}</title></use>' for row in rows
        )
        groups.append(f'<g class="person" data-person="{label}" fill="{colour(number, len(people))}">{marks}</g>')
    middles = [np.median(places[made.labels == label], axis=0) for label in people]
    names = "".join(f'<text x="{x:.1f}" y="{y:.1f}">{label}</text>' for label, (x, y) in zip(people, middles, strict=True))
    shapes = "".join(f'<g id="shape{number}">{path}</g>' for number, path in enumerate(_SHAPES[: len(cameras)]))
    return (
        f'<svg role="img" aria-label="Map of the embeddings of {count(len(people), "person", "people")}" viewBox="0 0 {_SIZE[0]} {_SIZE[1]}">'
        f'<defs>{shapes}</defs>{"".join(groups)}<g class="names" aria-hidden="true">{names}</g></svg>'
    )


def colour(number: int, of: int) -> str:
    """The colour of person ``number`` of ``of``: hues evenly spaced, lightness alternating; readable on a light page and on a dark one."""
    return f"hsl({360 * number / max(1, of):.0f} 68% {(46, 60)[number % 2]}%)"


def _placed(points: np.ndarray) -> np.ndarray:
    """The points scaled into the frame, both axes by the same factor, so that distances stay comparable."""
    room = np.array(_SIZE) - 2 * _MARGIN
    span = np.maximum(np.ptp(points, axis=0), 1e-12)
    points = points[:, ::-1] if span[1] > span[0] else points  # wider than high, as the frame is
    low, span = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-12)
    factor = (room / span).min()
    return _MARGIN + (room - span * factor) / 2 + (points - low) * factor


def _named(made: Map, row: int) -> str:
    parts = [f"person {made.labels[row]}"]
    parts += [f"camera {made.cameras[row]}"] if made.cameras is not None else []
    parts += [made.paths[row]] if made.paths is not None else []
    return ", ".join(parts)


def _cameras_legend(made: Map) -> str:
    if made.cameras is None:
        return ""
    cameras = np.unique(made.cameras)
    again = " (a shape stands for several)" if len(cameras) > len(_SHAPES) else ""
    items = "".join(f'<li><svg viewBox="-8 -8 16 16" aria-hidden="true">{_SHAPES[number % len(_SHAPES)]}</svg>camera {camera}</li>' for number, camera in enumerate(cameras))
    return f'<ul class="legend shapes">{items}<li>{again}</li></ul>' if again else f'<ul class="legend shapes">{items}</ul>'


def _people_legend(people: Sequence[int] | np.ndarray) -> str:
    """Buttons that single a person out, where scripts run."""
    items = "".join(
        f'<li><button type="button" data-person="{label}" aria-pressed="false"><i style="background: {colour(number, len(people))}"></i>{label}</button></li>'
        for number, label in enumerate(people)
    )
    return f'<ul class="people" aria-label="People: choose one to see its images alone">{items}</ul>'
