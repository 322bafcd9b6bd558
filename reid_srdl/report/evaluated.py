"""What the folder ``eval/DATASET`` of a run holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import files
from ..embeddings import Embeddings, load_pair
from ..errors import UserError
from ..evaluation import RankResult, predictions
from ..evaluation.predictions import Predictions
from ..evaluation.ranking import rank_matches
from ..runs import METRICS


class Ranked(NamedTuple):
    """How queries rank a gallery, by their distances alone.

    Args:
        query: Q queries.
        gallery: G items.
        result: the ranks of the M matches.
        positions: int64 ``(M,)``, the gallery item of each of ``result.ranks``.
    """

    query: Embeddings
    gallery: Embeddings
    result: RankResult
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluated:
    """An evaluation.

    Args:
        dataset: name of its folder.
        metrics: ``metrics.json``.
        ranked: query, gallery and how the query ranks the gallery; none in classification, or where their embeddings were not kept.
        predictions: those of each image; none in re-identification, or where they were not kept.
        earlier: the evaluations of earlier stages of the run, by the names of the stages.
    """

    dataset: str
    metrics: dict[str, Any]
    ranked: Ranked | None = None
    predictions: Predictions | None = None
    earlier: dict[str, Evaluated] = field(default_factory=dict)

    @property
    def protocol(self) -> dict[str, Any]:
        return self.metrics.get("protocol") or {}

    @property
    def classifies(self) -> bool:
        return "classification" in self.metrics

    @property
    def by_distance(self) -> bool:
        """Whether the scores are those of the distances alone, without expanded queries and re-ranking."""
        return not (self.protocol.get("expand") or self.protocol.get("rerank"))


def evaluation_of(run: Path, dataset: str, stages: Sequence[Mapping[str, Any]] = ()) -> Evaluated | None:
    """The evaluation on a data set, if there is one; ``stages`` are those of ``run.json``."""
    folder = run / "eval" / dataset
    if not (folder / METRICS).is_file():
        return None
    metrics = files.read_json(folder / METRICS)
    if not isinstance(metrics, dict):
        raise UserError(f"{folder / METRICS} holds no scores", "The command eval writes it anew.")
    if "classification" in metrics:
        said = predictions.load(folder / predictions.FILE) if (folder / predictions.FILE).is_file() else None
        found = {stage["name"]: evaluation_of(run, f"{dataset}-{stage['folder']}") for stage in stages[:-1]}
        return Evaluated(dataset, metrics, predictions=said, earlier={name: one for name, one in found.items() if one is not None})
    return Evaluated(dataset, metrics, ranked=_ranked(folder, metrics))


def _ranked(folder: Path, metrics: Mapping[str, Any]) -> Ranked | None:
    pair = [folder / "query.npz", folder / "gallery.npz"]
    if not all(path.is_file() for path in pair):
        return None
    query, gallery = load_pair(pair)
    if query.labels is None or gallery.labels is None:
        return None
    return ranked(query, gallery, **how_ranked(metrics.get("protocol") or {}))


def ranked(query: Embeddings, gallery: Embeddings, **how: Any) -> Ranked:
    """As ``rank``, with its arguments, but with the gallery item at each rank of a match."""
    matches, ranks = rank_matches(query, gallery, **how)
    of_query = np.repeat(np.arange(len(query)), np.diff(matches.starts))
    return Ranked(query, gallery, RankResult.of(matches.starts, ranks), matches.positions[np.lexsort((ranks, of_query))])


def how_ranked(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """``metric`` and ``same_camera`` of ``rank``, from a protocol stamp."""
    return {"metric": protocol.get("metric", "euclidean"), "same_camera": bool(protocol.get("same_camera", False))}
