"""From a trained network and a data set to ``metrics.json``: scores, with what was scored and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np

from .. import __version__, embeddings, files
from ..data import matches
from ..data.records import DISTRACTOR, JUNK, ClassData, ReIDData, Split
from ..devices import ALONE, Place, choose
from ..embeddings import Embeddings
from ..errors import UserError
from ..runs import METRICS
from . import parts
from .columns import Columns, require
from .flat_index import unit_length
from .result import RankResult
from .rules import USUAL, Pooling, Rules
from .scored import Track, forget
from .tiles import Metric

CMC_DEPTH = 50
"""Ranks up to which the CMC curve is kept."""
COLUMNS = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "rank20": "Rank-20", "mAP": "mAP", "mAP_trapezoid": "mAP (trapezoid)", "mINP": "mINP"}

Queries = Literal["single", "multi", "both"]


_NEXT_TO_EQUAL = 3e-3
"""Spread (``_spread``) below which embeddings are next to equal: squared distances are then about 1e-5 of squared lengths, of which float32 resolves 1e-7."""


def _spread(vectors: np.ndarray) -> float:
    """Root mean square distance of N vectors from their mean, divided by their root mean square length; 0 for no vectors."""
    apart = vectors - vectors.mean(axis=0, dtype=np.float64)
    return float(np.sqrt((apart**2).sum() / max(1e-30, (vectors.astype(np.float64) ** 2).sum())))


class Embeds(Protocol):
    """A network that can be scored, such as ``runs.Trained``."""

    @property
    def model_hash(self) -> str: ...

    @property
    def distance(self) -> Metric: ...

    @property
    def place(self) -> Place: ...

    def embeddings(self, split: Split, *, flip: bool = False, track: Track = iter, own: bool = False) -> Embeddings:
        """Embeddings of a split, its junk left out; with ``own`` only those of this process's part of it."""
        ...


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What an evaluation found.

    Args:
        metrics: the contents of ``metrics.json``.
        query: the embeddings of the single queries that were scored.
        gallery: those of the gallery, or of this process's part of it.
        results: the ranks behind the scores, under ``single``, ``multi`` and ``ensemble``.
        remark: how many queries have no match, and why; empty where all have one.
        place: which of how many processes this is.
    """

    metrics: dict[str, Any]
    query: Embeddings
    gallery: Embeddings
    results: dict[str, RankResult]
    remark: str
    place: Place = ALONE

    def table(self) -> list[tuple[str, ...]]:
        """As ``Scored`` has it."""
        scores = {name: result.scores() for name, result in self.results.items()}
        return [("query", *COLUMNS.values()), *((name, *(f"{100 * found[key]:.2f}" for key in COLUMNS)) for name, found in scores.items())]

    def remarks(self) -> list[str]:
        """As ``Scored`` has it."""
        stamp = self.metrics["protocol"]
        counted = (
            f"{stamp['queries']:,} queries, {stamp['gallery']:,} gallery images ({stamp['distractors']:,} distractors; "
            f"{stamp['junk_removed']:,} of junk left out), {stamp['metric']} distance."
        )
        without = [f"{self.remark}. They are left out of the means."] if self.remark else []
        spread = _spread(self.query.vectors)
        equal = f"warning: the embeddings of all queries are next to equal ({spread:.2%} of their length apart): the network tells nobody apart, and what float32 rounds decides many ranks."
        return [counted, *without, *([equal] if len(self.query) > 1 and spread < _NEXT_TO_EQUAL else [])]

    def save(self, folder: Path, *, details: bool = True) -> None:
        """Writes ``metrics.json`` and, with ``details``, the ``query.npz`` and ``gallery.npz`` that it is computed from.

        All processes must call it; only the first writes.
        """
        if self.place.rank:
            if details:
                parts.hand_over(self.gallery, self.place)
            return
        forget(folder)
        # The scores are written last, so that where they exist, so do the embeddings that they are of.
        for name, pieces in (("query", iter([self.query])), ("gallery", parts.whole(self.gallery, self.place))):
            if details:
                embeddings.write(folder / f"{name}.npz", pieces)
            else:
                (folder / f"{name}.npz").unlink(missing_ok=True)
        files.write_json(folder / METRICS, self.metrics)


def evaluate(
    trained: Embeds,
    data: ReIDData | ClassData,
    *,
    query: Queries = "both",
    flip: bool = False,
    rules: Rules | None = None,
    split: Literal["test", "val"] = "test",
    ensemble: Sequence[Embeds] = (),
    tracks: Callable[[str], Track] = lambda title: iter,
) -> Evaluation:
    """Embeds a data set and scores it, on the network's device.

    Several processes share the images, and each keeps its part of the gallery; all get the same scores.

    Args:
        trained: the network.
        data: with junk, which is counted and left out, and distractors.
        query: ``single`` queries, ``multi`` (the ``multi_query`` images of a query's person and camera as one), or ``both``; ``both``
            means single where the data set has no such images.
        flip: average the embeddings of an image and its mirror.
        rules: how embeddings are scored; by default the usual rules, with the network's own distance.
        split: ``test``, or ``val`` for the held-out training people.
        ensemble: further networks; the embeddings of all, side by side, are scored as ``ensemble``.
        tracks: from a title to what wraps an iteration, for progress bars.

    Raises:
        UserError: an unknown ``query`` or ``split``, a classification set, no held-out people, no multi-query images, no query with a match; as in ``Rules.check``.
    """
    rules, place = Rules(metric=trained.distance) if rules is None else rules, trained.place
    rules.check(place)
    *splits, boxes = looked_at(data, query, split, rules)

    def embed(model: Embeds, of: Split, what: str, *, own: bool = False) -> Embeddings:
        return model.embeddings(of, flip=flip, track=tracks(what), own=own)

    def embed_pair(model: Embeds, by: str = "") -> tuple[Embeddings, Embeddings]:
        return embed(model, splits[0], f"embedding {splits[0].name}{by}"), embed(model, splits[1], f"embedding {splits[1].name}{by}", own=True)

    single, gallery = embed_pair(trained)
    multi = None
    if query != "single" and boxes is not None:
        asked = boxes_of(boxes, splits[0])
        multi = multi_queries(single, embed(trained, asked, "embedding multi-query images"), rules.multi_query) if len(asked) else (single, len(single))
    found = score(single, gallery, rules, multi=multi, single=query != "multi", track=tracks("re-ranking"), place=place, known=splits[1].without_junk())
    stamp = {"dataset": data.name, "split": split, **found.metrics["protocol"]}
    stamp |= {"junk_removed": int((splits[1].labels == JUNK).sum()), "flip": flip, "checkpoint": trained.model_hash}
    metrics, results = {**found.metrics, "protocol": stamp}, dict(found.results)
    if ensemble:
        members = [(single, gallery)]
        for number, model in enumerate(ensemble, 2):
            members.append(embed_pair(model, f" with network {number}"))
        joined = [side_by_side(parts, unit=rules.metric == "cosine") for parts in zip(*members, strict=True)]
        results["ensemble"] = rules.rank(*joined, place=place)
        metrics["ensemble"] = _scored(results["ensemble"])
        stamp["ensemble"] = {
            "embedding": "side by side" + (", each of length 1" if rules.metric == "cosine" else ""),
            "dimension": joined[0].dimension,
            "checkpoints": [trained.model_hash, *(model.model_hash for model in ensemble)],
            "passes_per_image": (1 + len(ensemble)) * (1 + flip),
        }
    return dataclasses.replace(found, metrics=metrics, results=results)


def score(
    query: Embeddings,
    gallery: Embeddings,
    rules: Rules = USUAL,
    *,
    multi: tuple[Embeddings, int] | None = None,
    single: bool = True,
    track: Track = iter,
    place: Place | None = None,
    known: Columns | Split | None = None,
) -> Evaluation:
    """Scores embeddings from any source.

    Args:
        query: with labels and cameras.
        gallery: with labels and cameras; of several processes, this one's part.
        rules: how they are scored.
        multi: what ``multi_queries`` made.
        single: whether the single queries are scored.
        track: wraps the search for neighbours in re-ranking, for a progress bar.
        place: where it is computed, and which of how many processes this is; None means one process, on the GPU where there is one.
        known: labels and cameras of the whole gallery, where they are known already; None gathers them from all processes.

    Raises:
        UserError: no query has a match; as in ``rank``.
    """
    place = place or Place(choose("auto"))
    require(query, gallery, same_camera=rules.same_camera)
    known = Columns.of_all(gallery, place) if known is None else known
    _require_matches(query, known, rules)
    queries = ({"single": query} if single else {}) | ({"multi": multi[0]} if multi else {})
    results = {name: rules.rank(some, gallery, track, place) for name, some in queries.items()}
    counts = _counts(query, known, rules)
    junk = int((known.labels == JUNK).sum())
    stamp: dict[str, Any] = {
        "queries": len(query),
        "queries_without_match": int((counts.matches == 0).sum()),
        "gallery": len(known) - junk,
        "junk_removed": junk,
        "distractors": int((known.labels == DISTRACTOR).sum()),
        "matches": int(counts.matches.sum()),
        "metric": rules.metric,
        "same_camera": rules.same_camera,
        "normalisation": "each vector to length 1" if rules.metric == "cosine" else "none",
        "mAP": "mean of the precisions at the matches",
        "mAP_trapezoid": "trapezoid rule of Market-1501's own code",
        "mINP": "number of matches / rank of the last",
        "ties": "in the order of faiss" if rules.engine == "faiss" else "by gallery position",
        "engine": rules.engine_used(place),
        "expand": rules.expand,
        "rerank": dataclasses.asdict(rules.rerank) if rules.rerank is not None else None,
        "dimension": query.dimension,
        "checkpoint": query.model,
    }
    if multi:
        stamp["multi_query"] = {"pooling": rules.multi_query, "queries_alone": multi[1]}
    stamp["version"] = __version__
    metrics = {"protocol": stamp, **{name: _scored(result) for name, result in results.items()}}
    return Evaluation(metrics, query, gallery, results, matches.why_unmatched(counts), place)


def multi_queries(query: Embeddings, boxes: Embeddings, pooling: Pooling = "mean") -> tuple[Embeddings, int]:
    """Each query replaced by the images of its person and camera taken together.

    Args:
        query: Q queries.
        boxes: further images of the same people.
        pooling: the ``mean`` of their vectors, or the ``max`` of each number in them.

    Returns:
        Q queries, and how many of them are unchanged, since ``boxes`` has no image of their person and camera.

    Raises:
        UserError: there is no such pooling.
    """
    if pooling not in get_args(Pooling):
        raise UserError(f"there is no pooling {pooling!r}", f"Choose {' or '.join(get_args(Pooling))}.")
    groups, of_box = np.unique(_person_and_camera(boxes), axis=0, return_inverse=True)
    of_box = of_box.reshape(-1)
    sums = np.full((len(groups), boxes.dimension), -np.inf if pooling == "max" else 0.0)
    (np.maximum if pooling == "max" else np.add).at(sums, of_box, boxes.vectors)
    if pooling == "mean":
        sums /= np.bincount(of_box, minlength=len(groups))[:, None]
    place = {tuple(group): row for row, group in enumerate(groups.tolist())}
    vectors, alone = query.vectors.copy(), 0
    for row, key in enumerate(_person_and_camera(query).tolist()):
        if tuple(key) in place:
            vectors[row] = sums[place[tuple(key)]]
        else:
            alone += 1
    return dataclasses.replace(query, vectors=vectors), alone


def side_by_side(parts: Sequence[Embeddings], *, unit: bool = False) -> Embeddings:
    """The vectors of several networks for the same images, concatenated; ``unit`` scales each to length 1 before."""
    if len({part.paths for part in parts}) > 1 or len({len(part) for part in parts}) > 1:
        raise UserError("the members of an ensemble were not given the same images", "Embed the same split with each.")
    vectors = [part.vectors for part in parts]
    if unit:
        vectors = [unit_length(each) for each in vectors]
    return dataclasses.replace(parts[0], vectors=np.concatenate(vectors, axis=1), model="+".join(part.model for part in parts))


def _scored(result: RankResult) -> dict[str, Any]:
    """Scores as fractions, and the CMC curve up to ``CMC_DEPTH``."""
    return {**result.scores(), "cmc": result.cmc(CMC_DEPTH).tolist()}


def looked_at(data: ReIDData | ClassData, query: str, split: str, rules: Rules) -> tuple[Split, Split, Split | None]:
    """What ``evaluate`` embeds: queries, gallery, and multi-query images where there are such. Raises ``UserError`` where that cannot be scored."""
    if query not in get_args(Queries):
        raise UserError(f"there are no {query!r} queries", f"Choose {', '.join(get_args(Queries))}.")
    splits = splits_of(data, split)
    boxes = data.multi_query if split == "test" else None
    if query == "multi" and boxes is None:
        raise UserError(f"{data.name} has no multi-query images", "Use --query single.")
    _require_matches(*splits, rules)
    return *splits, boxes


def splits_of(data: ReIDData | ClassData, split: str) -> tuple[Split, Split]:
    """Query and gallery of ``test``, or of ``val``. Raises ``UserError`` where there are none, or held-out people leave the gallery empty."""
    if not isinstance(data, ReIDData):
        raise UserError(f"{data.name} is a classification set: it has no queries", "Only re-identification sets are ranked.")
    if split not in ("test", "val"):
        raise UserError(f"the split {split!r} is not scored", "Choose test or val.")
    chosen = (data.query, data.gallery) if split == "test" else (data.val_query, data.val_gallery)
    if chosen[0] is None or chosen[1] is None:
        raise UserError("no training people were held out", "Score the test split, or train with --data.holdout_identities N.")
    if split == "val" and not len(chosen[1]):
        raise UserError(
            "the people who were held out have one image a camera: all of them are queries, and none is left for the gallery",
            "Hold out more people (--data.holdout_identities), or score the test split (--split test; of train --evaluate test and --log.eval_split test).",
        )
    return chosen


def _counts(query: Embeddings | Split, gallery: Columns | Split, rules: Rules) -> matches.MatchCounts:
    require(query, gallery, same_camera=rules.same_camera)
    cameras = [np.zeros(len(part), dtype=np.int64) if part.cameras is None else part.cameras for part in (query, gallery)]
    return matches.count(query.labels, cameras[0], gallery.labels, cameras[1], same_camera=rules.same_camera)


def _require_matches(query: Embeddings | Split, gallery: Columns | Split, rules: Rules) -> None:
    """Raises ``UserError``, before anything is embedded, where no query has a match: all scores would be NaN."""
    counts = _counts(query, gallery, rules)
    if not counts.matches.any():
        raise UserError(f"nothing can be scored: {matches.why_unmatched(counts) or 'there are no queries'}", "Labels must mean the same people in query and gallery.")


def _person_and_camera(part: Embeddings | Split) -> np.ndarray:
    """Label and camera of each image (0 where cameras are not known): int64 ``(N, 2)``."""
    return np.column_stack([part.labels, np.zeros(len(part), dtype=np.int64) if part.cameras is None else part.cameras])


def boxes_of(boxes: Split, query: Split) -> Split:
    """The multi-query images of some query's person and camera; the others would be embedded for nothing."""
    asked = {tuple(pair) for pair in _person_and_camera(query).tolist()}
    return boxes.take(np.array([tuple(pair) in asked for pair in _person_and_camera(boxes).tolist()], dtype=bool))
