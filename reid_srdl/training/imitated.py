"""The network whose beliefs a stage imitates: an earlier stage of the run, or a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import runs
from ..errors import UserError
from . import handed_on
from .plans import Imitated, Plan


def of_checkpoint(imitated: Imitated) -> runs.ModelFile:
    """The network of ``imitated.checkpoint``. Raises ``UserError`` where there is none."""
    return runs.read_model(runs.checkpoint_file(Path(imitated.checkpoint)))


def network_and_folder(run: Path, plan: Plan, number: int, imitated: Imitated) -> tuple[runs.ModelFile, Path]:
    """The network, and the folder that its soft targets are kept in.

    Args:
        run: the run folder.
        plan: its stages.
        number: of the stage that imitates, from 0.
        imitated: what it imitates.
    """
    if imitated.checkpoint is not None:
        return of_checkpoint(imitated), runs.stage_folder(run, number, plan[number].name)
    index = next(i for i, stage in enumerate(plan) if stage.name == imitated.stage)
    folder = runs.stage_folder(run, index, plan[index].name)
    return runs.read_model(handed_on.imitated(folder, imitated.how.weights)), folder


def check_labels(imitated: Imitated, model: runs.ModelFile, labels: np.ndarray, data_name: str) -> None:
    """Raises ``UserError`` where the imitated network knows other labels than ``labels``, int64 ``(C,)``."""
    if not np.array_equal(model.labels, labels):
        raise UserError(
            f"the reference {imitated.checkpoint or imitated.stage} knows {len(model.labels)} labels, which are not the {len(labels)} of {data_name}",
            "It must have been trained on the same label set.",
        )
