"""Run a table or a figure of the paper and write it beside the paper's values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from .. import config as configuration
from .. import devices, files
from ..config import MOST_THREADS
from ..errors import UserError
from ..progress import says, terminal
from ..ranges import number
from . import trial

if TYPE_CHECKING:
    from ..experiments.study import Found, Study
    from ..experiments.tables import Asked, Table


@dataclass(frozen=True)
class FlatnessOptions:
    """How closely Fig. 4 is measured.

    Args:
        images: of each split.
        points: distances along each direction.
        directions: by chance.
        seed: whose runs are looked at; null means the first seed that has those of all arms.
    """

    images: int = 2000
    points: int = 21
    directions: int = 5
    seed: Optional[int] = None


@dataclass(frozen=True)
class ReproduceOptions:
    """A table or a figure of the paper by one command: its runs, and what they found beside the paper's values.

    Finished runs are never run again, broken-off ones are taken up; two tables that speak of the same run share it.

    Args:
        table: 1 to 6, ``imagenet``, ``controls``, ``forms`` (of the second stage), ``map`` (when does it pay?), ``fig3``, ``fig4``, or ``cost``.
        dataset: only these rows, with commas between; null means all of the table.
        network: only these rows, with commas between; null means all of the table.
        arms: instead of the table's, with commas between, the first is what the others are measured against; ARM:N has N seeds.
        seeds: runs of each arm, with the seeds 0 to N-1.
        epochs: in all, instead of the recipe's; a list with commas for the map.
        train_per_class: only so many training images of each class; a list with commas for the map.
        output: folder of the table, and of its runs unless ``runs`` says otherwise.
        runs: folder of the runs; null means ``runs`` in the output.
        records: folder of what the runs found; null means ``records`` in the output. With ``docs/results`` the page of results is written too.
        data_root: where the data sets are (as for training).
        weights: initial weights of all runs, such as a file of ImageNet weights; null means the recipe's.
        precision: of all runs, so that arms which are compared share it; null leaves it to each recipe.
        jobs: runs side by side; each then has its share of the cores.
        threads: CPU threads of each run; null shares the cores out among the jobs.
        dry_run: list what would be run, what it costs in forward MACs, and how long it would take here.
        fig4: how closely the figure is measured.
    """

    table: str = "1"
    dataset: Optional[str] = None
    network: Optional[str] = None
    arms: Optional[str] = None
    seeds: int = number(5, above=0, most=1000)
    epochs: Optional[str] = None
    train_per_class: Optional[str] = None
    output: str = "runs/reproduce"
    runs: Optional[str] = None
    records: Optional[str] = None
    data_root: Optional[str] = None
    weights: Optional[str] = None
    precision: Optional[str] = None
    jobs: int = number(1, above=0, most=256)
    threads: Optional[int] = number(None, above=0, most=MOST_THREADS)
    dry_run: bool = False
    fig4: FlatnessOptions = FlatnessOptions()


def run(argv: list[str]) -> int:
    """``--table NAME`` and its options."""
    from ..experiments import reproducing, spending, tables

    options = configuration.parse(ReproduceOptions, argv, prog="reproduce")
    output = Path(options.output)
    without_runs: dict[str, Callable[[Asked, Path], list[Path]]] = {"fig3": reproducing.write_schedules, "cost": spending.write_costs}
    if options.table in without_runs:
        return _told(without_runs[options.table](_asked(options), output))
    return _with_runs(options, tables.read(options.table), output)


def _with_runs(options: ReproduceOptions, table: Table, output: Path) -> int:
    from ..experiments import flatness_figure, records, reproducing, results, runner, spending, study, tables

    asked = _asked(options)
    arms = [text.partition(":")[0] for text in asked.arms or table.arms]
    rows = tables.studies(table, asked)
    folder = Path(options.records) if options.records else output / "records"
    paths = [folder / f"{plan.name}.json" for _, plan in rows]
    for (_, plan), path in zip(rows, paths, strict=True):
        _check(path, plan, records.read(path), options.precision)
    runs = Path(options.runs) if options.runs else output / "runs"
    if table.name == "fig4":
        flatness_figure.check(rows[0][1], runs, **dataclasses.asdict(options.fig4))
    if options.dry_run:
        return _forecast([(row, plan, records.read(path)) for (row, plan), path in zip(rows, paths, strict=True)], arms)
    for (_, plan), path in zip(rows, paths, strict=True):
        records.describe(path, plan)
        shared = ("--precision", trial.shared_precision([reproducing.configuration_of(plan, arm) for arm in plan.arms], records.read(path)))
        place = runner.Place(runs / plan.name, path, (*_extra(options), *shared), options.jobs, options.data_root)
        runner.carry_out(plan, place, says=says, arms=arms)
        # Written after each row, so that a table which takes days can be read on the way.
        # Each row is as all tables that share it asked for it: the ensembles of another one tell which runs are no seeds of their arm.
        parts = [(row, records.grown(file, one), records.read(file)) for (row, one), file in zip(rows, paths, strict=True)]
        writers = {"map": reproducing.write_map}
        written = writers.get(table.name, reproducing.write_table)(table, parts, arms, output)
    if table.name == "fig4":
        written += flatness_figure.write(rows, runs, output, data_root=options.data_root, **dataclasses.asdict(options.fig4))
    if folder.resolve() == Path("docs/results").resolve():
        files.write_text(folder.parent / "results.md", results.page(folder, study.names(), spending.of_tables()))
        written.append(folder.parent / "results.md")
    return _told(written)


def _asked(options: ReproduceOptions) -> Asked:
    from ..experiments.tables import Asked

    flags = {key: value for key, value in (("model.weights", options.weights), ("precision", options.precision)) if value is not None}
    return Asked(
        _words(options.dataset), _words(options.network), _words(options.arms), options.seeds, _numbers(options.epochs, "epochs"),
        _numbers(options.train_per_class, "train_per_class"), flags,
    )  # fmt: skip


def _words(text: str | None) -> list[str] | None:
    return [word.strip() for word in text.split(",") if word.strip()] if text else None


def _numbers(text: str | None, name: str) -> list[int] | None:
    from ..experiments.tables import is_count

    words = _words(text)
    if words and not all(map(is_count, words)):
        raise UserError(f"--{name} {text} is no list of numbers above 0", f"Write, for instance, --{name} 60, or --{name} 20,60,120.")
    return list(dict.fromkeys(map(int, words))) if words else None


def _extra(options: ReproduceOptions) -> tuple[str, ...]:
    threads = options.threads or max(1, devices.cores() // options.jobs)
    return ("--threads", str(threads))


def _forecast(parts: list, arms: list[str]) -> int:
    from rich.table import Table as Shown

    from ..experiments import reproducing

    rows = reproducing.forecast(parts, arms, trial.images_per_s)
    if not rows:
        print("All runs of this table are finished; without --dry_run it is written anew.")
        return 0
    shown = Shown(title="Runs that are still to be done", title_justify="left")
    for head in ("run", "10¹² forward MACs", "minutes here"):
        shown.add_column(head, justify="left" if head == "run" else "right")
    for row in rows:
        shown.add_row(row.name, f"{row.macs / 1e12:,.0f}", f"{row.minutes:,.0f}")
    terminal(width=140).print(shown)
    minutes = sum(row.minutes for row in rows)
    print(f"{len(rows)} runs, about {minutes / 60:,.1f} hours one after the other. Stages that runs share are trained once, which saves some of it.")
    return 0


def _check(path: Path, plan: Study, found: Found, precision: str | None) -> None:
    """Raises ``UserError`` where finished runs were made with other settings than are asked for now."""
    from ..experiments import settings

    settings.check_records(path, plan, found)
    others = sorted({record["precision"] for cell, record in found.items() if cell.arm in plan.arms} - {precision})
    if precision not in (None, "auto") and others:
        raise UserError(f"the finished runs of {path} are in {others[0]}", f"Leave --precision {precision} out, or keep other --records.")


def _told(written: list[Path]) -> int:
    for path in written:
        print(f"Written: {path}")
    return 0
