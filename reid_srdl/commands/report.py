"""Write a run's report: scores, curves, ranked lists or mistakes on one HTML page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Optional

from .. import config as configuration
from .. import files, runs
from ..data import READERS, part_names
from ..data.records import ClassData, ReIDData
from ..errors import UserError
from ..ranges import number
from ..shell import command
from . import of_run
from .sets import read_set

PICTURED = ("query.npz", "predictions.npz")
"""Files in which an evaluation may have kept a row for each image."""


@dataclass(frozen=True)
class ReportOptions:
    """Write the report of a run: one HTML file that needs nothing beside it.

    Args:
        dataset: whose scores are shown; null means the run's own data set.
        data_root: where the pictures are (as for training); null means where they were scored or the run found them, ``$REID_DATA``, or else ``datasets``.
        output: the file; null means ``report.html`` in the run folder.
        parts: ``all``, or ``quick`` for none of the three parts below, as after training.
        browse: queries to look through with filters; fewer where the page would grow beyond 20 MB, and 0 for none.
        map: a map of the embeddings of some people, by UMAP where that is installed, else by t-SNE.
        attention: where in the images the likeness of some queries with what was nearest comes from.
    """

    dataset: Optional[str] = None
    data_root: Optional[str] = None
    output: Optional[str] = None
    parts: Literal["all", "quick"] = "all"
    browse: int = number(200, least=0)
    map: bool = True
    attention: bool = True


def run(argv: list[str]) -> int:
    """``RUN`` and its options."""
    folder, options = of_run.parse(ReportOptions, argv, "report")
    from ..progress import says, tracked
    from ..report import NONE, Extras, write

    own, scored_on = _own_dataset(folder), sorted(file.parent.name for file in (folder / "eval").glob(f"*/{runs.METRICS}"))
    # For a run on several sets, the first that was scored is shown. Without the usual scores, but with exactly one other kind, that one is meant.
    usual = next((name for name in part_names(own) if name in scored_on), None)
    dataset = options.dataset or usual or (scored_on[0] if len(scored_on) == 1 else own)
    if dataset not in {own, *scored_on}:  # a report without scores is one of the run's own data set
        there = f"Its scores are of: {', '.join(scored_on)}." if scored_on else "It was not scored yet."
        # Scores on held-out people, or by another way of scoring, are in folders whose names are no data sets that eval takes.
        new = f" New ones: {command('eval', '--checkpoint', folder, '--dataset', dataset)}" if READERS.keys() >= set(part_names(dataset)) else ""
        raise UserError(f"{folder} has no scores on {dataset}", there + new)
    extras = Extras(options.browse, options.map, options.attention) if options.parts == "all" else NONE
    pictured = _pictured(folder, dataset, options)
    if extras != NONE and (folder / "eval" / dataset / "query.npz").is_file():
        says("queries to look through, the map and what likeness comes from take a while (--parts quick goes without them)")
    written = write(folder, data=pictured, dataset=dataset, output=options.output, extras=extras, track=tracked("queries to look through"), data_root=options.data_root)
    print(f"The report is {written}: open it in a browser.")
    if dataset in scored_on:
        print("Next, take embeddings away:", command("embed", "--checkpoint", folder, "--images", "DIR", "--output", "embeddings.npz"))
    else:
        print("Next, fill in the scores:", command("eval", "--checkpoint", folder, "--dataset", dataset))
    return 0


def _own_dataset(folder: Path) -> str:
    if not (folder / runs.FACTS).is_file():
        raise UserError(f"{folder} is no run folder", "A run folder holds run.json and stages/; the command train makes one.")
    facts = runs.read_facts(folder)
    if "dataset" not in facts:
        raise UserError(f"{folder / runs.FACTS} names no data set", "Name a run folder that the command train or adopt made.")
    return facts["dataset"]


def _pictured(folder: Path, dataset: str, options: ReportOptions) -> ReIDData | ClassData | None:
    """The data set that the scores are of; none where it is not at hand, since only the pictures need it."""
    from ..progress import says

    evaluation = folder / "eval" / dataset
    if not (evaluation / runs.METRICS).is_file() or not any((evaluation / name).is_file() for name in PICTURED):
        return None
    # Scores on held-out people or of an earlier stage stand in folders of other names than the data set's.
    stamp = files.read_json(evaluation / runs.METRICS).get("protocol") or {}
    trained = configuration.load(folder / runs.CONFIG)
    try:  # scores on own images in another place say where they are; the run's place may have other images of the same names
        return read_set(trained, stamp.get("dataset", dataset), options.data_root or stamp.get("data_root"))
    except UserError as error:
        says(f"the report goes without pictures: {error}")
        return None
