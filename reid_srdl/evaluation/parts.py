"""A gallery that is split among several processes: ranks by adding up their counts, and the whole gallery, piece by piece, for a file.

A process never holds more than its own part and the queries, so a gallery may be larger than the memory of any of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..devices import Place
from ..embeddings import Embeddings
from ..errors import UserError
from .ranking import Matches, count_closer, find_matches
from .result import RankResult
from .tiles import Metric

_PIECE = 1 << 22
"""Numbers (items times D) of a part that are handed over at a time."""


def rank_parts(
    query: Embeddings, part: Embeddings, place: Place, *, metric: Metric = "euclidean", same_camera: bool = False
) -> RankResult:
    """As ``ranking.rank``, in every process: the ranks do not depend on how the gallery is cut.

    Args:
        query: all queries, the same in every process.
        part: this process's consecutive gallery items, which follow those of all lower ranks; may be empty.
        place: where it is computed, and which of how many processes this is.
        metric, same_camera: as in ``rank``.
    """
    sizes = place.gathered(len(part))
    if not sum(sizes):
        raise UserError("the gallery holds no vectors", "There is nothing to rank.")
    choices = {"offset": sum(sizes[: place.rank]), "metric": metric, "same_camera": same_camera, "device": place.device}
    nothing = Matches(np.zeros(len(query) + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    matches = Matches.merged(place.gathered(find_matches(query, part, **choices) if len(part) else nothing))
    closer = count_closer(query, part, matches, **choices) if len(part) else np.zeros(len(matches.positions), np.int64)
    return RankResult.of(matches.starts, place.summed(closer) + 1)


def whole(part: Embeddings, place: Place) -> Iterator[Embeddings]:
    """For the first process: the whole gallery, piece by piece and in order, while the others ``hand_over`` theirs."""
    yield from _pieces(part)
    for rank in range(1, place.world):
        while (piece := place.taken(rank)) is not None:
            yield piece


def hand_over(part: Embeddings, place: Place) -> None:
    """For all processes but the first: sends this one's part to the first, which receives it in ``whole``."""
    for piece in _pieces(part):
        place.hand(piece, 0)
    place.hand(None, 0)


def _pieces(part: Embeddings) -> Iterator[Embeddings]:
    step = max(1, _PIECE // max(1, part.dimension))
    return (part.take(np.arange(start, min(start + step, len(part)))) for start in range(0, len(part), step))
