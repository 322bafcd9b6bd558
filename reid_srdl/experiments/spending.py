"""What the runs of the paper's tables cost (its TrCost), whether or not they have been made."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import config as configuration
from .. import files
from ..config import Config
from ..errors import UserError
from ..models.cost import Cost
from ..training import plans
from . import cost, tables
from .markdown import table
from .study import Cell, Study, flags
from .tables import Asked, Row

TITLE = "What training costs"
ALL = Asked()
NOT_BESIDE = (
    "The paper prints such costs too (TrCost, Tables 1 and 2). Its figures are not repeated here, and it is not said "
    "which of them follow from its own formula."
)


def configuration_of(study: Study, arm: str, seed: int = 0) -> Config:
    """The configuration of an arm's run."""
    value = study.tune.values[0] if study.tune is not None else None  # in place of the one that the arm will find
    return configuration.parse(Config, flags(study, Cell(arm, seed, value, held_out=False)), recipes=True)


@dataclass(frozen=True)
class Spent:
    """What one run of an arm costs."""

    study: Study
    arm: str
    cost: Cost
    images: int


def spent(rows: Sequence[tuple[Row, Study]]) -> list[Spent]:
    """The cost of each arm of each study, for the official number of training images or as many as are asked for."""
    found = []
    for row, study in rows:
        for arm in study.arms:
            config = configuration_of(study, arm)
            # ``train_per_class`` does not count the images that are held out.
            held = 0 if config.data.train_per_class else config.data.holdout_per_class * tables.classes(row.dataset)
            images = (tables.training_images(row.dataset, config.data.train_per_class) or 0) - held
            found.append(Spent(study, arm, cost.planned(config, plans.build(config), images, tables.classes(row.dataset)), images))
    return found


def of_tables(asked: Asked = ALL) -> dict[tuple[str, str], Spent]:
    """The cost of every arm of Tables 1 to 3, by names of study and arm; a study that several tables share is in it once."""
    if asked.networks or asked.arms:
        raise UserError("the costs are of all networks and arms of a data set", "Leave --network and --arms out; --dataset chooses rows.")
    parts = [tables.read(name) for name in ("1", "2", "3")]
    there = list(dict.fromkeys(row.dataset for part in parts for row in part.rows))
    for dataset in asked.datasets or ():
        if dataset not in there:
            raise UserError(f"Tables 1 to 3 of the paper have no data set {dataset!r}", f"They have: {', '.join(there)}.")
    rows = []
    for part in parts:  # each has its own data sets
        wanted = [dataset for dataset in asked.datasets or there if any(row.dataset == dataset for row in part.rows)]
        rows += tables.studies(part, dataclasses.replace(asked, datasets=wanted)) if wanted else []
    return {(one.study.name, one.arm): one for one in spent(rows)}


def section(seen: Mapping[tuple[str, str], Spent]) -> list[str]:
    """Markdown: what is counted, and a table with a row for each arm."""
    head = ["study", "arm", "training images", "10¹⁵ MACs", "of these soft targets", "of these a teacher", "× vanilla"]
    cells = []
    for one in seen.values():
        base = seen.get((one.study.name, "vanilla"))
        paid = one.cost
        cells.append(
            [
                one.study.title, one.arm, f"{one.images:,}", f"{paid.total / 1e15:,.3f}", f"{paid.extraction / 1e15:,.4f}",
                f"{paid.teacher / 1e15:,.3f}" if paid.teacher else "", f"{paid.total / base.cost.total:.4f}" if base else "",
            ]
        )  # fmt: skip
    return [(cost.__doc__ or "").strip(), NOT_BESIDE, table(head, cells)]


def write_costs(asked: Asked, output: Path) -> list[Path]:
    """Writes ``cost.md`` and ``cost.csv`` with what ``of_tables`` finds; returns their paths."""
    seen, out = of_tables(asked), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["study", "arm", "images", "training", "extraction", "teacher", "total"])
    writer.writerows([one.study.name, one.arm, one.images, one.cost.training, one.cost.extraction, one.cost.teacher, one.cost.total] for one in seen.values())
    files.write_text(output / "cost.md", "\n\n".join([f"# {TITLE}", *section(seen)]) + "\n")
    files.write_text(output / "cost.csv", out.getvalue())
    return [output / "cost.md", output / "cost.csv"]
