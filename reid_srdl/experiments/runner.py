"""Runs the cells of a study: a process each, several side by side, and writes down what each found as soon as it is finished."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files, runs
from ..errors import UserError
from . import records, study
from .study import Cell, Study


@dataclass(frozen=True)
class Place:
    """Where a study runs.

    Args:
        folder: of its runs.
        record: the file that keeps what they found.
        extra: further flags of every run, such as ``--data-root``.
        jobs: runs side by side.
    """

    folder: Path
    record: Path
    extra: tuple[str, ...] = ()
    jobs: int = 1


def carry_out(plan: Study, place: Place, *, says: Callable[[str], None], arms: Iterable[str] | None = None) -> None:
    """Runs all that is pending; broken-off runs are taken up again, finished ones never run twice.

    Raises:
        UserError: a run failed; those that were finished are kept.
    """
    lock = threading.Lock()
    busy: set[Cell] = set()
    failures: list[str] = []

    def work() -> None:
        while not failures:
            with lock:
                open_cells = [cell for cell in study.pending(plan, records.read(place.record), arms) if cell not in busy]
                chosen = next((cell for cell in open_cells if not _shares_start(plan, cell, busy)), open_cells[0] if open_cells else None)
                if chosen is None:
                    return
                busy.add(chosen)
                says(f"{plan.name}: {chosen.name} begins ({len(open_cells) - 1} more are waiting)")
            try:
                record = run_cell(plan, chosen, place)
                with lock:
                    records.add(place.record, chosen, record)
                    says(f"{plan.name}: {chosen.name} rank1 {record['scores']['rank1']:.1%}, mAP {record['scores']['mAP']:.1%}")
            except UserError as error:
                failures.append(str(error))
            finally:
                busy.discard(chosen)

    workers = [threading.Thread(target=work) for _ in range(place.jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise UserError(failures[0], "What was finished is kept; the same command goes on from there.")
    if study.pending(plan, records.read(place.record), arms):
        # A worker found nothing to do while the last try of another was still out, and tries make further cells.
        carry_out(plan, place, says=says, arms=arms)


def _shares_start(plan: Study, cell: Cell, busy: set[Cell]) -> bool:
    """Whether a run that is under way begins like this one: it would only wait for that stage."""
    two_stages = [plan.arms[one.arm].get("plan.name", "srdl") not in ("vanilla", "kd") for one in (cell, *busy)]
    return two_stages[0] and any(two and other.seed == cell.seed and other.value == cell.value for two, other in zip(two_stages[1:], busy, strict=True))


def run_cell(plan: Study, cell: Cell, place: Place) -> dict[str, Any]:
    """Trains and scores one cell in a process of its own; returns its record."""
    run = place.folder / cell.name
    log = place.folder / "logs" / f"{cell.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    resumes = (run / runs.CONFIG).is_file()
    words = ["--resume", str(run)] if resumes else [*study.flags(plan, cell), "--evaluate", "val" if cell.held_out else "test", *place.extra, "--output", str(run)]
    with open(log, "a") as out:
        done = subprocess.run([sys.executable, "-m", "reid_srdl", "train", *words], stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        last = next((line for line in reversed(log.read_text().splitlines()) if line.strip()), "it said nothing")
        raise UserError(f"the run {run} ended with code {done.returncode}: {last}", f"Its log is {log}.")
    return record_of(plan, cell, run)


def record_of(plan: Study, cell: Cell, run: Path) -> dict[str, Any]:
    """What is kept of a finished run: scores, costs, and how to run it again."""
    facts = runs.read_facts(run)
    found = [path for path in sorted((run / "eval").glob("*/metrics.json")) if path.parent.name.endswith("-val") == cell.held_out]
    if not facts["finished"] or not found:
        raise UserError(f"the run {run} is not finished and scored", f"Go on with tools/train.py --resume {run}.")
    metrics = files.read_json(found[0])
    stages = facts["stages"]
    return {
        "command": ["train", *study.flags(plan, cell)],
        "scores": {name: metrics["single"][name] for name in ("rank1", "rank5", "rank10", "mAP", "mAP_trapezoid", "mINP")},
        "multi": {name: metrics["multi"][name] for name in ("rank1", "mAP")} if "multi" in metrics else None,
        "cross_entropy": stages[-1]["final"]["cross_entropy"],
        "stages": [{key: stage[key] for key in ("name", "epochs", "shared", "seconds", "images_per_s")} for stage in stages],
        "images": facts["images"],
        "identities": facts["identities"],
        "data_hash": facts["data_hash"],
        "model": stages[-1]["model"],
        "precision": facts["precision"],
        "threads": facts["threads"],
        "hardware": facts["hardware"],
        "versions": facts["versions"],
        "date": facts["started"][:10],
    }
