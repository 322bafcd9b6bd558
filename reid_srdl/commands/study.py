"""Run a study: arms, seeds and tuned rates as one command, and the page of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import devices, files
from ..config import MOST_THREADS
from ..errors import UserError
from ..experiments import records, results, runner, spending, study
from ..progress import says
from ..ranges import number
from ..shell import command
from . import trial

USAGE = """usage: study NAME [--jobs N] [--arms A,B] [--only_seeds 0,1] [--runs DIR] [--records DIR] [--dry_run] [--data_root DIR] [--weights FILE] [--threads N]
       study [FILE.yaml] --write [--records DIR] [--output FILE]

study NAME --help lists the options. Studies: {names}"""


@dataclass(frozen=True)
class StudyOptions:
    """Run what a study still lacks; finished runs are never run again, broken-off ones are taken up.

    Args:
        jobs: runs side by side; each then has its share of the cores.
        arms: only these, with commas between; null means all.
        only_seeds: only these, with commas between, so that several machines can share a study; null means all that the study asks for.
        runs: folder of the runs, a folder a study in it.
        records: folder of the records, a JSON file a study, kept with the code.
        output: the page of results.
        write: write the page of results and run nothing.
        dry_run: list what would be run.
        data_root: where the data sets are (as for training).
        weights: initial weights of all runs, such as a file of ImageNet weights; null means the recipe's.
        threads: CPU threads of each run; null shares the cores out among the jobs.
    """

    jobs: int = number(1, above=0, most=256)
    arms: Optional[str] = None
    only_seeds: Optional[str] = None
    runs: str = "runs/studies"
    records: str = "docs/results"
    output: str = "docs/results.md"
    write: bool = False
    dry_run: bool = False
    data_root: Optional[str] = None
    weights: Optional[str] = None
    threads: Optional[int] = number(None, above=0, most=MOST_THREADS)


def run(argv: list[str]) -> int:
    """``NAME`` and options, or ``--write``."""
    from .. import config as configuration

    name = argv[0] if argv and not argv[0].startswith("-") else None
    notes = f"NAME is a study's ({', '.join(study.names())}) or a file like those in configs/studies; it is not needed with --write."
    options = configuration.parse(StudyOptions, argv[1:] if name else argv, prog=f"study {name or 'NAME'}", notes=notes)
    if name is None and not options.write:
        print(USAGE.format(names=", ".join(study.names())))
        return 2
    own = [] if name is None or name in study.names() else [name]
    if name is not None and not options.write:
        plan = study.read(name)
        arms = [arm.strip() for arm in options.arms.split(",")] if options.arms else None
        if arms and (unknown := set(arms) - set(plan.arms) - set(plan.ensembles)):
            raise UserError(f"the study {name} has no arm {', '.join(sorted(unknown))}", f"Its arms: {', '.join([*plan.arms, *plan.ensembles])}.")
        seeds = _seeds(options.only_seeds, plan, arms)
        record = Path(options.records) / f"{plan.name}.json"
        found = records.read(record)
        extra = (*_extra(options), *trial.precision_flags(plan, found))
        place = runner.Place(Path(options.runs) / plan.name, record, extra, options.jobs, options.data_root)
        if options.dry_run:
            cells = study.pending(plan, found, arms, seeds)
            for cell in cells:
                print(f"{cell.name:<32} {command(*runner.words_of(plan, cell, place))}")
            if not cells:
                print(f"All runs of this study{' that were asked for' if arms or seeds else ''} are finished; without --dry_run the page of results is written anew.")
            return 0
        runner.carry_out(plan, place, says=says, arms=arms, seeds=seeds)
    if not any(Path(options.records).glob("*.json")):
        raise UserError(f"there are no records in {options.records}", "Start it in the root of the checkout, or name the folder with --records.")
    folder = Path(options.records)
    installed = [known for known in study.names() if (folder / f"{known}.json").is_file() or known == name]
    if installed:
        says("counting what the paper's trainings cost, for the page")
    files.write_text(options.output, results.page(folder, [*installed, *own], spending.of_tables() if installed else None, place=Path(options.output)))
    print(f"The results are in {options.output}")
    return 0


def _seeds(named: str | None, plan: study.Study, arms: list[str] | None) -> set[int] | None:
    if named is None:
        return None
    most = max(plan.seeds_of(arm) for arm in arms or (*plan.arms, *plan.ensembles))
    where = f" of {', '.join(arms)}" if arms else ""
    words = [word.strip() for word in named.split(",")]
    if wrong := [word for word in words if not (word.isdecimal() and int(word) < most)]:
        raise UserError(f"--only_seeds: the study {plan.name} has no seed {wrong[0]!r}{where}", f"Its seeds are 0 to {most - 1}." if most > 1 else "It has seed 0 alone.")
    return {int(word) for word in words}


def _extra(options: StudyOptions) -> tuple[str, ...]:
    threads = options.threads or max(1, devices.cores() // options.jobs)
    return ("--threads", str(threads), *(("--model.weights", options.weights) if options.weights else ()))
