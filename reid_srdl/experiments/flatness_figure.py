"""Fig. 4 from finished runs: the surroundings of their minima, in the paper's way and in three that are fairer."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from .. import files, runs
from ..config import data_root as root_of
from ..data import read
from ..data.records import ClassData, limit_images
from ..errors import UserError
from ..evaluation.classification import classes_of, targets_of
from ..progress import tracked
from . import flatness, flatness_plot, flatness_profiles, tables
from .flatness_profiles import Settings
from .markdown import table
from .study import Cell, Study
from .tables import Row

VARIANTS = {
    "unit": Settings(),
    "unit_renewed": Settings(statistics="renewed"),
    "filter": Settings(scale="filter"),
    "filter_renewed": Settings(scale="filter", statistics="renewed"),
}
"""The paper's way comes first: directions of length 1, running statistics as training left them."""


def check(study: Study, folder: Path, *, seed: int | None = None, **measured: int) -> None:
    """Raises ``UserError``, before the runs of the figure are made, for what ``write`` would refuse after them."""
    Settings(**measured)
    if seed is not None and not all(0 <= seed < study.seeds_of(arm) or (_run(study, folder, arm, seed) / runs.FACTS).is_file() for arm in study.arms):
        most = min(study.seeds_of(arm) for arm in study.arms)
        raise UserError(f"--fig4.seed is {seed}, of which {study.name} will have no runs of all arms", f"Name one below {most}, or ask for more runs with --seeds.")


def write(rows: Sequence[tuple[Row, Study]], folder: Path, output: Path, *, data_root: str | None = None, seed: int | None = None, **measured: int) -> list[Path]:
    """``fig4-VARIANT.csv`` and ``.png`` for each of ``VARIANTS``, and their numbers in ``fig4-flatness.md``.

    Args:
        rows: of the figure; only the first is drawn.
        folder: of the studies' runs, which have to be finished.
        output: where the files go.
        data_root: where the data sets are.
        seed: the one whose runs are measured; none for the first with runs of all arms.
        measured: ``images``, ``points`` and ``directions`` of ``Settings``.

    Raises:
        UserError: the data set is no classification set, so that its test images have no loss; no seed has the runs of all arms there.
    """
    _, study = rows[0]
    seed = _seed_of_all(study, folder, range(max(study.seeds.values())) if seed is None else [seed])
    networks = {arm: runs.load(_run(study, folder, arm, seed)) for arm in study.arms}
    config = next(iter(networks.values())).config
    data = read(config.dataset, root_of(data_root or config.data_root))
    if not isinstance(data, ClassData):
        raise UserError(f"{data.name} has other people in its test split, for which there is no loss", "Flatness needs a classification set.")
    data = limit_images(data, per_class=config.data.train_per_class, holdout_per_class=config.data.holdout_per_class)
    any_network = next(iter(networks.values()))
    labelled = [(any_network.source(split.files, memory_gb=config.data.memory_gb), targets_of(split, classes_of(data))) for split in (data.train, data.test)]
    written, summaries = [], []
    for name, variant in VARIANTS.items():
        settings = dataclasses.replace(variant, **measured)
        curves = flatness.compare(networks, *labelled, settings, track=tracked(f"flatness, {name}"))
        paths = [output / f"fig4-{name}.csv", output / f"fig4-{name}.png"]
        flatness_profiles.write_csv(curves, paths[0])
        flatness_plot.plot(curves, paths[1])
        written += paths
        summaries += [[name, *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())] for row in curves.summary()]
    head = ["directions", "network", "split", "loss", "accuracy", "distance at which the loss has risen by 1", "rise at distance 1"]
    how = (
        f"{study.title}, seed {seed}. {settings.directions} directions, {settings.points} distances along each, {settings.images:,} images of each split at most; "
        "`renewed` variants take BatchNorm's statistics anew at each point, `filter` variants move each filter by a share of its norm. Losses and accuracies are no percentages here; `inf`: not within the distances that were looked at."
    )
    asked = {"seed": seed, "images": settings.images, "points": settings.points, "directions": settings.directions}
    command = ["python", "tools/reproduce.py", *tables.words(study, "fig4"), *(word for name, value in asked.items() for word in (f"--fig4.{name}", str(value)))]
    text = ["# Flatness of the minima (Fig. 4)", (flatness.__doc__ or "").strip().replace("``", "`"), how, f"Command: `{shlex.join(command)}`", table(head, summaries)]
    files.write_text(output / "fig4-flatness.md", "\n\n".join(text) + "\n")
    return [*written, output / "fig4-flatness.md"]


def _run(study: Study, folder: Path, arm: str, seed: int) -> Path:
    return folder / study.name / Cell(arm, seed, None, held_out=False).name


def _seed_of_all(study: Study, folder: Path, seeds: Sequence[int]) -> int:
    """The first of the seeds for which runs of all arms exist; a record may be kept although its run is gone."""
    whole = [seed for seed in seeds if all((_run(study, folder, arm, seed) / runs.FACTS).is_file() for arm in study.arms)]
    if not whole:
        raise UserError(
            f"{folder / study.name} has no seed{f' {seeds[0]}' if len(seeds) == 1 else ''} with the runs of {' and '.join(study.arms)}: they are not made, or recorded and gone",
            "Name the folder that they are in with --runs, or another --records, so that they are trained anew.",
        )
    return whole[0]
