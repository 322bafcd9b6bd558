"""Writes the files of a table from its finished studies: Markdown, CSV and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..config import Config
from ..training import plans
from . import budget_map, charts, cost, lines, results, tables
from .spending import configuration_of, spent
from .study import Found, Study, pending
from .tables import Asked, Row, Table

Part = tuple[Row, Study, Found]


# --- tables and the map ------------------------------------------------------------------------------------------


def write_table(table: Table, parts: Sequence[Part], arms: Sequence[str], output: Path) -> list[Path]:
    """Writes ``tableNAME.md``, ``.csv`` and, where a run is finished, ``.png``, with nothing but the arms that were asked for; returns their paths."""
    stem = file_stem(table.name)
    sections = [f"# {table.title}", results.INTRODUCTION.replace("`python tools/study.py --write`", f"`python tools/reproduce.py --table {table.name}`")]
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
        # The paper's values are drawn beside runs of its own budget only: beside others they would just squeeze the picture.
        beside = {study.title: row.paper for row, study, _ in parts if tables.has_the_papers_budget(row, study)}
        files.write_bytes(written[2], charts.arms([(title, some, beside.get(title, {})) for title, some, _ in shown], score))
    return written


def write_map(table: Table, parts: Sequence[Part], arms: Sequence[str], output: Path) -> list[Path]:
    """As ``write_table``, but the page begins with the gains, and the CSV and the picture show those alone."""
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


# --- before anything is run --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forecast:
    """What a run will take: forward multiply-accumulates, and minutes on this machine."""

    name: str
    macs: int
    minutes: float


def forecast(parts: Sequence[Part], arms: Sequence[str], images_per_s: Callable[[Config], float]) -> list[Forecast]:
    """A forecast for each run that is still to be done. A stage that several runs share is counted in each.

    Args:
        parts: rows of the table with what is finished of them.
        arms: those that are asked for.
        images_per_s: images a second that training with a configuration reaches on this machine.
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
            # Teacher and clean passes count as epochs by their MACs; a third for clean passes, which have no backward pass.
            epochs = (one.cost.training + one.cost.teacher + one.cost.extraction / 3) / (own * one.images)
            minutes = epochs * one.images / images_per_s(config) / 60
            out.append(Forecast(f"{study.name} {cell.name}", one.cost.total, minutes))
    return out
