"""The files of a finished stage: the network that is used from here on and, where an average was kept, both the average and the last weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import files, runs
from ..models import IdentityClassifier
from .engine import StageTrainer


def write(folder: Path, trainer: StageTrainer, save: Callable[[Path, IdentityClassifier], None]) -> None:
    """Writes the networks of a stage that has come to its end.

    Args:
        folder: of the stage.
        trainer: at its end.
        save: writes one network to a file.
    """
    if trainer.average is None:
        save(folder / runs.MODEL, trainer.network)
        return
    save(folder / runs.LAST, trainer.network)
    save(folder / runs.AVERAGED, trainer.average.network)
    # Written last, since this file marks the stage as finished; a link, so that it takes no space of its own.
    files.link_or_copy(folder / (runs.AVERAGED if trainer.stage.ema.use else runs.LAST), folder / runs.MODEL)


def weights_file(folder: Path, weights: str) -> Path:
    """The network file of a finished stage that ``reference.weights`` asks for: ``used``, ``last`` or ``ema``.

    A stage without an average has one file, its last weights, for both ``used`` and ``last``.
    """
    other = {"used": runs.MODEL, "last": runs.LAST, "ema": runs.AVERAGED}[weights]
    return folder / (other if weights == "ema" or (folder / other).is_file() else runs.MODEL)
