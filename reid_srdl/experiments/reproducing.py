"""From finished studies to the files of a table: Markdown, CSV and a picture each."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import config as configuration
from .. import files
from ..config import Config
from ..training import plans
from . import budget_map, charts, cost, lines, results, tables
from .markdown import table as as_table
from .study import Cell, Found, Study, flags, pending
from .tables import Asked, Row, Table

Part = tuple[Row, Study, Found]


def configuration_of(study: Study, arm: str, seed: int = 0) -> Config:
    """What a run of an arm is configured as."""
    return configuration.parse(Config, flags(study, Cell(arm, seed, None, held_out=False)), recipes=True)


# --- tables and the map ------------------------------------------------------------------------------------------


def write_table(table: Table, parts: Sequence[Part], arms: Sequence[str], output: Path) -> list[Path]:
    """``tableNAME.md``, ``.csv`` and, where a run is finished, ``.png``; what was not asked for is not in it."""
    stem = file_stem(table.name)
    sections = [f"# {table.title}", results.INTRODUCTION.replace("`tools/study.py --write`", f"`tools/reproduce.py --table {table.name}`")]
    for row, study, found in parts:
        sections += results.row_section(study, found, row.paper, arms)
    shown = [(study.title, lines.of(study, found, arms), row.paper) for row, study, found in parts]
    shown = [part for part in shown if part[1]]
    written = [output / f"{stem}.md", output / f"{stem}.csv"]
    files.write_text(written[0], "\n\n".join(sections) + "\n")
    files.write_text(written[1], lines.as_csv(shown))
    if shown:
        score = next(name for name in lines.SCORES if any(name in line.values for line in shown[0][1]))
        written.append(output / f"{stem}.png")
        files.write_bytes(written[2], charts.arms(shown, score))
    return written


def write_map(table: Table, parts: Sequence[Part], arms: Sequence[str], output: Path) -> list[Path]:
    """As ``write_table``, with the gains as the first thing and their curves as the picture."""
    written = write_table(table, parts, arms, output)
    cells = budget_map.cells([(study, found) for _, study, found in parts])
    if cells:
        head, _, rest = written[0].read_text(encoding="utf-8").partition("\n\n")
        files.write_text(written[0], f"{head}\n\n{budget_map.markdown(cells)}\n\n{rest}")
        files.write_text(written[1], budget_map.as_csv(cells))
        files.write_bytes(output / f"{file_stem(table.name)}.png", budget_map.picture(cells))
    return written


def file_stem(name: str) -> str:
    return f"table{name}" if name.isdigit() else name


# --- what needs no run -------------------------------------------------------------------------------------------


def write_schedules(asked: Asked, output: Path) -> list[Path]:
    """Fig. 3: the learning rate of every epoch, of vanilla training, SRDL, and SRDL with an incomplete schedule."""
    ((_, study),) = tables.studies(tables.read("4"), asked)
    rates = {arm: [stage.rates for stage in plans.build(configuration_of(study, arm))] for arm in study.arms}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["arm", "stage", "epoch", "rate"])
    for arm, stages in rates.items():
        epoch = 0
        for number, stage in enumerate(stages, 1):
            for rate in stage:
                writer.writerow([arm, number, epoch, f"{rate:.10g}"])
                epoch += 1
    files.write_text(output / "fig3.csv", out.getvalue())
    files.write_bytes(output / "fig3.png", charts.schedules(rates))
    return [output / "fig3.csv", output / "fig3.png"]


@dataclass(frozen=True)
class Spent:
    """What one run of an arm costs."""

    study: Study
    arm: str
    cost: cost.Cost
    images: int


def spent(rows: Sequence[tuple[Row, Study]]) -> list[Spent]:
    """The cost of each arm of each study, for the official number of training images or as many as are asked for."""
    found = []
    for row, study in rows:
        for arm in study.arms:
            config = configuration_of(study, arm)
            held = config.data.holdout_per_class * tables.classes(row.dataset)
            images = (tables.training_images(row.dataset, config.data.train_per_class) or 0) - held
            found.append(Spent(study, arm, cost.planned(config, plans.build(config), images, tables.classes(row.dataset)), images))
    return found


def write_costs(asked: Asked, output: Path) -> list[Path]:
    """The cost of every arm of Tables 1 to 3 in forward MACs, and of the soft targets alone."""
    rows = [row for name in ("1", "2", "3") for row in tables.studies(tables.read(name), _only_where_it_has(name, asked))]
    seen: dict[tuple[str, str], Spent] = {(one.study.name, one.arm): one for one in spent(rows)}
    head = ["study", "arm", "training images", "10¹⁵ MACs", "of these soft targets", "of these a teacher", "× vanilla"]
    cells, out = [], io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["study", "arm", "images", "training", "extraction", "teacher", "total"])
    for one in seen.values():
        base = seen[one.study.name, "vanilla"].cost.total if (one.study.name, "vanilla") in seen else None
        paid = one.cost
        cells.append(
            [one.study.title, one.arm, f"{one.images:,}", f"{paid.total / 1e15:,.3f}", f"{paid.extraction / 1e15:,.4f}", f"{paid.teacher / 1e15:,.3f}" if paid.teacher else "", f"{paid.total / base:.4f}" if base else ""]
        )  # fmt: skip
        writer.writerow([one.study.name, one.arm, one.images, paid.training, paid.extraction, paid.teacher, paid.total])
    text = ["# Cost of training", (cost.__doc__ or "").strip(), as_table(head, cells)]
    files.write_text(output / "cost.md", "\n\n".join(text) + "\n")
    files.write_text(output / "cost.csv", out.getvalue())
    return [output / "cost.md", output / "cost.csv"]


def _only_where_it_has(name: str, asked: Asked) -> Asked:
    """Of several tables each has its own data sets: the wish counts where it can be met."""
    there = {row.dataset for row in tables.read(name).rows}
    wanted = [dataset for dataset in asked.datasets or () if dataset in there]
    return dataclasses.replace(asked, datasets=wanted or None, networks=None, arms=None)


# --- before anything is run --------------------------------------------------------------------------------------


def forecast(parts: Sequence[Part], arms: Sequence[str], images_per_s: Callable[[Config], float]) -> list[list[str]]:
    """A row a run that is still to be done: name, MACs, minutes. Stages that runs share are counted in each.

    Args:
        parts: rows of the table with what is finished of them.
        arms: that are asked for.
        images_per_s: speed of training with a configuration, here.
    """
    out = []
    for row, study, found in parts:
        paid = {one.arm: one for one in spent([(row, study)])}
        for cell in pending(study, found, arms):
            if cell.arm not in paid:
                continue
            config = configuration_of(study, cell.arm, cell.seed)
            one = paid[cell.arm]
            own = cost.macs_of(config.model, tables.classes(row.dataset), config.size)
            # A teacher's steps and the clean passes go by their MACs; a clean pass has no backward one.
            epochs = (one.cost.training + one.cost.teacher + one.cost.extraction / 3) / (own * one.images)
            minutes = epochs * one.images / images_per_s(config) / 60
            out.append([f"{study.name} {cell.name}", f"{one.cost.total / 1e12:,.0f}", f"{minutes:,.0f}"])
    return out
