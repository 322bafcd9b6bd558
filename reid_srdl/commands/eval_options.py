"""The options of ``eval``, with which training scores its results, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Optional

from ..errors import UserError
from ..models.exported import InputOptions
from .options import given

if TYPE_CHECKING:
    from ..evaluation.rules import Rules


@dataclass(frozen=True)
class EvalOptions:
    """Score a trained network on a data set (--checkpoint), or embeddings that are there already (--embeddings).

    Args:
        checkpoint: a run folder, a stage folder in it, a ``model.safetensors``, or an exported file (``.onnx``, OpenVINO's ``.xml``, ``.pt2``).
        embeddings: the file of the query and that of the gallery (.npz or .parquet with vectors, labels, cameras), or several, which hold a part
            of the gallery each; or one .mat result file.
        dataset: name of a reader, such as ``market1501`` or ``folder``; null means the one that the run was trained on. Several, as
            ``market1501,msmt17``, are scored one by one, and so are the parts of joined ones; ``all`` means all published sets that are there.
        data_root: folder of the data sets (of ``csv``: the file); null means where the run found them, ``$REID_DATA``, or else ``datasets``.
        split: ``test``, or ``val`` for the training people or images that the run held out.
        query: ``single`` queries, ``multi``, or ``both`` (single alone where the data set has no multi-query images).
        flip: average the embeddings of the image and its mirror; in classification, their probabilities.
        metric: ``euclidean`` (squared, as in faiss) or ``cosine``; null means the run's own ``distance``, and ``euclidean`` where no run says.
        ignore_camera: images of a query's person by the query's own camera are matches too, for a set of one camera.
        multi_query: how the images of a person and camera become one query.
        engine: ``exact``, or ``faiss``: a flat index, on the GPU where faiss has one.
        expand: average each query with so many of its nearest gallery items before it is ranked (average query expansion).
        rerank: rank by k-reciprocal re-ranking (Zhong et al. 2017) in place of the distances.
        rerank_k1, rerank_k2: its neighbours: of the sets, and of the local query expansion.
        rerank_weight: of the original distance in it (lambda).
        ensemble: score all stages of the run together, too, at the cost of all of them: their embeddings side by side; in classification,
            the mean of their probabilities.
        members: further checkpoints, as many as follow, that are scored together with the first in the same way.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        output: folder for metrics.json and the embeddings or predictions (of several sets, a folder each in it); null means the run's ``eval/DATASET``,
            and for embeddings ``scores/QUERY-GALLERY`` beside the first file (of a gallery in parts, with the name of the first and their number).
        no_save: keep metrics.json only, not the embeddings or predictions.
        input: what an exported file from elsewhere takes.
    """

    checkpoint: Optional[str] = None
    embeddings: Optional[tuple[str, ...]] = None
    dataset: Optional[str] = None
    data_root: Optional[str] = None
    split: Literal["test", "val"] = "test"
    query: Literal["single", "multi", "both"] = "both"
    flip: bool = False
    metric: Optional[Literal["euclidean", "cosine"]] = None
    ignore_camera: bool = False
    multi_query: Literal["mean", "max"] = "mean"
    engine: Literal["exact", "faiss"] = "exact"
    expand: int = 0
    rerank: bool = False
    rerank_k1: int = 20
    rerank_k2: int = 6
    rerank_weight: float = 0.3
    ensemble: bool = False
    members: Optional[tuple[str, ...]] = None
    device: str = "auto"
    output: Optional[str] = None
    no_save: bool = False
    input: InputOptions = InputOptions()


def rules(options: EvalOptions) -> Rules:
    """The options that concern ranking. Raises ``UserError`` for those that mean nothing, alone or together."""
    from ..evaluation.rerank import Reranking
    from ..evaluation.rules import Rules

    idle = given(options, ("rerank_k1", "rerank_k2", "rerank_weight"))
    if idle and not options.rerank:
        raise UserError(f"--{idle[0]} means nothing without --rerank", "Add --rerank, or leave it out.")
    reranking = Reranking(options.rerank_k1, options.rerank_k2, options.rerank_weight) if options.rerank else None
    made = Rules(options.metric or "euclidean", options.ignore_camera, options.engine, options.multi_query, options.expand, reranking)
    made.check()
    return made
