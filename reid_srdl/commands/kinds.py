"""The two kinds of data set, and all that training and scoring do differently with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..config import Config
from ..data import matches
from ..data.images import ImageSource, open_source
from ..data.joined import JoinedData, each, parts_of
from ..data.records import ClassData, ReIDData, Split, limit_identities, limit_images
from ..devices import Place
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation import classification, protocol, rank
from ..evaluation.flat_index import load_faiss
from ..evaluation.scored import Scored, Track
from ..inference import embed, logits
from ..models import IdentityClassifier
from .eval_options import EvalOptions, rules
from .options import given

if TYPE_CHECKING:
    from ..runs import Trained
    from ..training.run import Score

Tracks = Callable[[str], Track]


class Kind(Protocol):
    """A kind of data set; every ``data`` is of this kind.

    Attributes:
        compares_stages: whether earlier stages are scored after training too.
    """

    compares_stages: bool

    def limited(self, data: Any, config: Config) -> Any:
        """The data set with as many training people or images, and as many held out, as the configuration says."""
        ...

    def scored(self, data: Any, split: str) -> list[Split]:
        """The splits that are looked at when ``test`` or ``val`` is scored. Raises ``UserError`` where they cannot be scored."""
        ...

    def score_during(self, data: Any, config: Config) -> Score:
        """The function that scores a network during training, on ``log.eval_split``; for several sets, by the mean of their scores."""
        ...

    def accept(self, data: Any, options: EvalOptions) -> None:
        """Checks options before anything is computed. Raises ``UserError`` for those that mean nothing for this kind, or need images that the set lacks."""
        ...

    def evaluate(self, trained: Trained, data: Any, options: EvalOptions, others: Sequence[Trained], tracks: Tracks) -> Scored:
        """Scores a network alone and, where there are ``others``, together with them."""
        ...


class Reidentification:
    """Sets with queries, for each of which a gallery is ranked. The parts of a joined set are limited and scored separately."""

    compares_stages = False

    def limited(self, data: ReIDData, config: Config) -> ReIDData:
        _refuse(config, f"{data.name} has people, not classes", train_per_class="train_identities", holdout_per_class="holdout_identities")
        return each(data, lambda part: limit_identities(part, train=config.data.train_identities, holdout=config.data.holdout_identities))

    def scored(self, data: ReIDData, split: str) -> list[Split]:
        return [looked_at for part in parts_of(data) for looked_at in self._scored(part, split)]

    def _scored(self, data: ReIDData, split: str) -> list[Split]:
        query, gallery = self._pair(data, split)
        boxes = [protocol.boxes_of(data.multi_query, query)] if split == "test" and data.multi_query is not None else []
        counts = matches.count(query.labels, query.cameras, gallery.labels, gallery.cameras)
        if not counts.matches.any():
            raise UserError(
                f"nothing could be scored on {data.name}: {matches.why_unmatched(counts)}",
                "Train with --evaluate none (and without --log.eval_every), and give eval --ignore_camera.",
            )
        return [query, gallery, *boxes]

    def _pair(self, data: ReIDData, split: str) -> tuple[Split, Split]:
        if split == "val" and (data.val_query is None or data.val_gallery is None):
            raise UserError("there are no held-out identities to score", "Set --data.holdout_identities, or score the test split (--evaluate test, --log.eval_split test).")
        query, gallery = protocol.splits_of(data, split)
        return query.without_junk(), gallery.without_junk()

    def score_during(self, data: ReIDData, config: Config) -> Score:
        pairs = [self._pair(part, config.log.eval_split) for part in parts_of(data)]
        sources = [[_clean(split, config) for split in pair] for pair in pairs]

        def score(network: IdentityClassifier, place: Place) -> dict[str, float]:
            results = []
            for pair, images in zip(pairs, sources, strict=True):
                found = []
                for split, source in zip(pair, images, strict=True):
                    vectors = embed(network, source, size=config.size, place=place)
                    found.append(Embeddings(vectors=vectors, paths=split.paths, labels=split.labels, cameras=split.cameras))
                results.append(rank(*found, metric=config.distance, device=place.device))
            means = np.mean([(result.rank1, result.mAP) for result in results], axis=0)
            return dict(zip(("rank1", "mAP"), means.tolist(), strict=True))

        return score

    def accept(self, data: ReIDData, options: EvalOptions) -> None:
        protocol.looked_at(data, options.query, options.split, rules(options))
        if options.engine == "faiss":
            load_faiss()

    def evaluate(self, trained: Trained, data: ReIDData, options: EvalOptions, others: Sequence[Trained], tracks: Tracks) -> Scored:
        return protocol.evaluate(trained, data, query=options.query, flip=options.flip, rules=rules(options), split=options.split, ensemble=others, tracks=tracks)


class Classification:
    """Sets of images, each of one class."""

    compares_stages = True  # to see how far the confidence of each can be trusted

    def limited(self, data: ClassData, config: Config) -> ClassData:
        _refuse(config, f"{data.name} has classes, not people", train_identities="train_per_class", holdout_identities="holdout_per_class")
        return limit_images(data, per_class=config.data.train_per_class, holdout_per_class=config.data.holdout_per_class)

    def scored(self, data: ClassData, split: str) -> list[Split]:
        part = classification.split_of(data, split)
        classification.targets_of(part, classification.classes_of(data))
        return [part]

    def score_during(self, data: ClassData, config: Config) -> Score:
        part = classification.split_of(data, config.log.eval_split)
        targets = classification.targets_of(part, classification.classes_of(data))
        source = _clean(part, config)

        def score(network: IdentityClassifier, place: Place) -> dict[str, float]:
            result = classification.classify(logits(network, source, size=config.size, place=place), targets)
            return {"top1": result.top1, "loss": result.loss}

        return score

    def accept(self, data: ClassData, options: EvalOptions) -> None:
        if said := given(options, RANKS):
            raise UserError(
                f"{data.name} is a classification set: there are no queries for {' and '.join(f'--{name}' for name in said)}",
                "Leave it out; --flip, --ensemble, --members and --split are for such sets too.",
            )
        classification.split_of(data, options.split)

    def evaluate(self, trained: Trained, data: ClassData, options: EvalOptions, others: Sequence[Trained], tracks: Tracks) -> Scored:
        return classification.evaluate(trained, data, split=options.split, flip=options.flip, ensemble=others, tracks=tracks)


RANKS = frozenset({"query", "metric", "ignore_camera", "multi_query", "engine", "expand", "rerank", "rerank_k1", "rerank_k2", "rerank_weight"})
"""Options of eval that need queries."""

KINDS: dict[type, Kind] = {ReIDData: Reidentification(), JoinedData: Reidentification(), ClassData: Classification()}


def kind_of(data: ReIDData | ClassData) -> Kind:
    """The kind of a data set."""
    return KINDS[type(data)]


def _clean(part: Split, config: Config) -> ImageSource:
    """The split's images as a network of this run sees them, without augmentation."""
    data = config.data
    return open_source(part.files, config.size, memory_gb=data.memory_gb, workers=data.workers, crop=data.crop)


def _refuse(config: Config, why: str, **fields: str) -> None:
    """Raises ``UserError`` where a field of the other kind is set; ``fields`` maps each of these to the one to use instead."""
    for name, instead in fields.items():
        if getattr(config.data, name):
            raise UserError(f"{why}: data.{name} means nothing there", f"Use --data.{instead}.")
