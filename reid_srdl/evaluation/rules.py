"""How embeddings are scored: everything that a score depends on beside the vectors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from ..data.records import JUNK
from ..devices import ALONE, Place
from ..embeddings import Embeddings
from ..errors import UserError
from ..ranges import check_ranges, number
from .columns import require_one_network
from .distance_ranking import rank_distances
from .expansion import expand
from .faiss_ranking import rank_with_faiss
from .flat_index import has_gpu, load_faiss, unit_length
from .parts import rank_parts
from .rerank import Reranking, reranked
from .result import RankResult
from .scored import Track
from .tiles import Metric, check_lengths

Pooling = Literal["mean", "max"]
"""How the images of a multi-query become one."""


@dataclass(frozen=True)
class Rules:
    """How embeddings are scored.

    Args:
        metric: ``euclidean`` (squared) or ``cosine``.
        same_camera: images of the query's person by the query's own camera are matches too.
        engine: ``exact``, or ``faiss`` for its flat index.
        multi_query: how the images of a person and camera become one query: their ``mean``, or the ``max`` of each number.
        expand: gallery items that each query is averaged with before it is ranked (average query expansion); 0 for none.
        rerank: k-reciprocal re-ranking; the distances of the engine are then not used.
    """

    metric: Metric = "euclidean"
    same_camera: bool = False
    engine: Literal["exact", "faiss"] = "exact"
    multi_query: Pooling = "mean"
    expand: int = number(0, least=0)
    rerank: Reranking | None = None

    def check(self, place: Place = ALONE) -> None:
        """Raises ``UserError`` for choices that are impossible, and for those that need the whole gallery where several processes have parts of it."""
        if self.rerank is not None:
            self.rerank.check()  # in the words of the options that it is asked for by
            if self.engine == "faiss":
                raise UserError("--rerank has distances of its own, which --engine faiss does not compute", "Leave one of them out.")
        check_ranges(self)
        whole = {"--rerank": self.rerank is not None, "--expand": self.expand > 0, "--engine faiss": self.engine == "faiss"}
        asked = [name for name, chosen in whole.items() if chosen]
        if place.world > 1 and asked:
            raise UserError(f"{asked[0]} works in one process", "Score without torchrun, with --embeddings of what was saved under it.")

    def rank(self, query: Embeddings, gallery: Embeddings, track: Track = iter, place: Place = ALONE) -> RankResult:
        """Ranks by the chosen engine or by re-ranking, on the device of ``place``; each of several processes has a part of the gallery."""
        self.check(place)
        require_one_network(query, gallery)
        if self.expand or self.rerank is not None or self.engine == "faiss":  # the exact engine checks lengths itself, tile by tile
            check_lengths(query.vectors, "query")
            check_lengths(gallery.vectors, "gallery")
        if self.expand or self.rerank is not None:
            if self.metric == "cosine":
                query, gallery = (dataclasses.replace(part, vectors=unit_length(part.vectors)) for part in (query, gallery))
            # Junk must not be found as a neighbour either.
            gallery = gallery.take(gallery.labels != JUNK)
        if self.expand:
            query = dataclasses.replace(query, vectors=expand(query.vectors, gallery.vectors, count=self.expand))
        if self.rerank is not None:
            return rank_distances(query, gallery, reranked(query.vectors, gallery.vectors, self.rerank, track=track), same_camera=self.same_camera)
        if self.engine == "faiss":
            return rank_with_faiss(query, gallery, metric=self.metric, same_camera=self.same_camera, gpu=self._on_gpu(place))
        return rank_parts(query, gallery, place, metric=self.metric, same_camera=self.same_camera)

    def engine_used(self, place: Place) -> str:
        """What ``rank`` uses at ``place``, in words."""
        if self.rerank is not None:
            return "k-reciprocal re-ranking"
        if self.engine == "exact":
            return "exact"
        return f"faiss, flat index on the {'GPU' if self._on_gpu(place) and has_gpu(load_faiss()) else 'CPU'}"

    @staticmethod
    def _on_gpu(place: Place) -> bool:
        return place.device.type == "cuda"


USUAL = Rules()
