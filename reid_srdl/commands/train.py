"""Train a network: by Self-Referenced Deep Learning unless told otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .. import config as configuration
from .. import devices, runs
from ..config import Config
from ..data import read
from ..data.records import ClassData, ReIDData, limit_identities
from ..errors import UserError
from ..inference import embed
from ..data.images import open_source
from ..embeddings import Embeddings
from ..evaluation import rank
from ..models import IdentityClassifier
from ..progress import TrainingDisplay
from ..training.run import Score, train


def run(argv: list[str]) -> int:
    config, resumed = _asked(argv)
    display = TrainingDisplay(quiet=devices.processes()[0] > 0)
    try:
        data = data_of(config)
        folder = train(config, data, watch=display, score=_score(config, data), resume=resumed)
    finally:
        display.close()
    return 0


def _asked(argv: list[str]) -> tuple[Config, bool]:
    """The configuration, and whether a run is taken up again (``--resume RUN``)."""
    words = [word.partition("=")[0] for word in argv]
    if "--resume" not in words:
        return configuration.parse(Config, argv, "train", recipes=True), False
    given = argv[0].partition("=")[2] if argv[0].startswith("--resume=") else (argv[1] if len(argv) == 2 else "")
    if not given or words[0] != "--resume":
        raise UserError("--resume takes one run folder and nothing else", "The run goes on with its own configuration.")
    folder = Path(given)
    config = configuration.load(folder / runs.CONFIG)
    return dataclasses.replace(config, output=str(folder)), True


def data_of(config: Config) -> ReIDData | ClassData:
    """The data set of a configuration, with its training identities limited and held out as it says."""
    data = read(config.dataset, configuration.data_root(config.data_root))
    if isinstance(data, ReIDData):
        data = limit_identities(data, train=config.data.train_identities, holdout=config.data.holdout_identities)
    return data


def _score(config: Config, data: ReIDData | ClassData) -> Score | None:
    """Rank-1 and mAP on the held-out identities, or on the test split where asked."""
    if not config.log.eval_every or not isinstance(data, ReIDData):
        return None
    splits = (data.val_query, data.val_gallery) if config.log.eval_split == "val" else (data.query, data.gallery)
    if splits[0] is None or splits[1] is None:
        raise UserError("there are no held-out identities to score", "Set --data.holdout_identities, or --log.eval_split test.")
    query, gallery = (split.without_junk() for split in splits)
    sources = {
        split.name: open_source(split.files, config.size, memory_gb=config.data.memory_gb, workers=config.data.workers) for split in (query, gallery)
    }

    def score(network: IdentityClassifier, place: devices.Place) -> dict[str, float]:
        found = []
        for split in (query, gallery):
            vectors = embed(network, sources[split.name], size=config.size, place=place)
            found.append(Embeddings(vectors=vectors, paths=split.paths, labels=split.labels, cameras=split.cameras))
        result = rank(*found)
        return {"rank1": result.rank1, "mAP": result.mAP}

    return score
