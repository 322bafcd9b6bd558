"""Train a network: by Self-Referenced Deep Learning unless told otherwise."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import torch

from .. import config as configuration
from .. import devices, runs
from ..config import Config
from ..data import matches, read
from ..data.images import open_source
from ..data.records import ClassData, ReIDData, limit_identities
from ..embeddings import Embeddings
from ..errors import UserError
from ..evaluation import rank
from ..inference import embed
from ..models import IdentityClassifier
from ..progress import TrainingDisplay, tracked
from ..training.run import Score, train


def run(argv: list[str]) -> int:
    """Trains by a plan, scores the result, and writes the report."""
    config, resumed = _asked(argv)
    first = devices.processes()[0] == 0
    display = TrainingDisplay(quiet=not first)
    try:
        data = data_of(config)
        _check_score(config, data)
        folder = train(config, data, watch=display, score=_score(config, data), resume=resumed)
    finally:
        display.close()
        with contextlib.suppress(RuntimeError, ValueError):
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
    if first:
        _conclude(folder, config, data)
    return 0


def _asked(argv: list[str]) -> tuple[Config, bool]:
    """The configuration, and whether a run is taken up again (``--resume RUN``)."""
    if not any(word.partition("=")[0] == "--resume" for word in argv):
        return configuration.parse(Config, argv, "train", recipes=True), False
    name, equals, value = argv[0].partition("=")
    given = [value] if equals else argv[1:2]
    if name != "--resume" or not all(given) or len(argv) != (1 if equals else 2):
        raise UserError("--resume takes one run folder and nothing else", "The run goes on with its own configuration.")
    return dataclasses.replace(configuration.load(Path(given[0]) / runs.CONFIG), output=given[0]), True


def data_of(config: Config) -> ReIDData | ClassData:
    """The data set of a configuration, with its training identities limited and held out as it says."""
    data = read(config.dataset, configuration.data_root(config.data_root))
    if isinstance(data, ReIDData):
        data = limit_identities(data, train=config.data.train_identities, holdout=config.data.holdout_identities)
    return data


def _check_score(config: Config, data: ReIDData | ClassData) -> None:
    """Before an hour of training, not after it.

    Raises:
        UserError: held-out identities are asked for and there are none; no query has a match, so there would be no score.
    """
    wants_held_out = config.evaluate == "val" or (config.log.eval_every and config.log.eval_split == "val")
    if wants_held_out and isinstance(data, ReIDData) and data.val_query is None:
        raise UserError("there are no held-out identities to score", "Set --data.holdout_identities, or score the test split (--evaluate test, --log.eval_split test).")
    if config.evaluate == "test" and isinstance(data, ReIDData):
        counts = matches.count(data.query.labels, data.query.cameras, data.gallery.labels, data.gallery.cameras)
        if not counts.matches.any():
            raise UserError(
                f"nothing could be scored after training: {matches.why_unmatched(counts)}",
                "Train with --evaluate none, and score with tools/eval.py --checkpoint RUN --ignore_camera.",
            )


def _score(config: Config, data: ReIDData | ClassData) -> Score | None:
    """Rank-1 and mAP during training, on the held-out identities or, where asked, on the test split."""
    if not config.log.eval_every or not isinstance(data, ReIDData):
        return None
    splits = (data.val_query, data.val_gallery) if config.log.eval_split == "val" else (data.query, data.gallery)
    parts = [split.without_junk() for split in splits if split is not None]
    sources = [open_source(part.files, config.size, memory_gb=config.data.memory_gb, workers=config.data.workers) for part in parts]

    def score(network: IdentityClassifier, place: devices.Place) -> dict[str, float]:
        found = []
        for part, source in zip(parts, sources, strict=True):
            vectors = embed(network, source, size=config.size, place=place)
            found.append(Embeddings(vectors=vectors, paths=part.paths, labels=part.labels, cameras=part.cameras))
        result = rank(*found)
        return {"rank1": result.rank1, "mAP": result.mAP}

    return score


def _conclude(folder: Path, config: Config, data: ReIDData | ClassData) -> None:
    """Scores the last epoch's network, writes the report, and says what there is now and what comes next."""
    from ..evaluation.protocol import evaluate
    from ..report import write
    from .eval import default_output, save, show

    print(f"The run is in {folder}")
    pictured = None
    if config.evaluate != "none" and isinstance(data, ReIDData):
        trained = runs.load(folder, config.device)
        found = evaluate(trained, data, split=config.evaluate, tracks=tracked)
        save(found, default_output(folder, trained, config.dataset, config.evaluate))
        show(found, f"{folder} on {config.dataset}")
        pictured = data if config.evaluate == "test" else None
    report = write(folder, data=pictured)
    print(f"Report: {report} (open it in a browser)")
    print(f"Next, take embeddings away: tools/embed.py --checkpoint {folder} --images DIR --output embeddings.npz")
