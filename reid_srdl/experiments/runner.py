"""Runs the cells of a study: a process each, several side by side, and writes down what each found as soon as it is finished."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .. import config as configuration
from .. import files, runs
from ..config import Config
from ..data.joined import part_names
from ..errors import UserError
from ..shell import command
from ..training import plans
from ..training.keys import stage_key
from ..training.termination import Termination
from . import cost, lines, records, settings, soft_targets, study
from .children import Children
from .study import Cell, Found, Study

KEPT = ("rank1", "rank5", "rank10", "mAP", "mAP_trapezoid", "mINP", "top1", "top5", "loss", "ece")
"""Scores of a run that its record keeps."""


@dataclass(frozen=True)
class Place:
    """Where a study runs.

    Args:
        folder: of its runs.
        record: the file that keeps what they found.
        extra: further flags of every run, such as ``--threads``.
        jobs: runs side by side.
        data_root: where the data sets are; none for the place where every command looks.
        environment: further environment variables of its processes.
    """

    folder: Path
    record: Path
    extra: tuple[str, ...] = ()
    jobs: int = 1
    data_root: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def carry_out(plan: Study, place: Place, *, says: Callable[[str], None], arms: Iterable[str] | None = None, seeds: Container[int] | None = None) -> None:
    """Runs all pending cells, or only those of the given arms and seeds; interrupted runs are resumed, and finished ones never run twice.

    Raises:
        UserError: a run failed; those that were finished are kept.
        Terminated: SIGTERM came, and the runs under way saved their state.
    """
    settings.check_records(place.record, plan, records.read(place.record), place.extra)
    changed = threading.Condition()
    busy: set[Cell] = set()
    begins = functools.cache(lambda cell: _beginning(plan, cell, place.extra))  # reading a configuration takes a while
    failures: list[str] = []
    children = Children()

    def work(worker: int) -> None:
        own = dataclasses.replace(place, environment=gpu_of(worker, place))
        while True:
            with changed:
                while not failures:
                    open_cells = [cell for cell in study.pending(plan, records.read(place.record), arms, seeds) if cell not in busy]
                    if open_cells or not busy:
                        break
                    changed.wait()  # a try that is still running may make further cells pending
                if failures or not open_cells:
                    return
                chosen = next((cell for cell in open_cells if not _shares_start(cell, busy, begins)), open_cells[0])
                busy.add(chosen)
                says(f"{plan.name}: {chosen.name} begins ({len(open_cells) - 1} more are waiting)")
            try:
                record = run_cell(plan, chosen, own, children)
                with changed:
                    records.add(place.record, chosen, record)
                    told = ", ".join(f"{lines.SCORES[name]} {value:.1%}" for name, value in record["scores"].items() if name in lines.SCORES)
                    says(f"{plan.name}: {chosen.name} {'diverged' if 'diverged' in record else told}")
            except UserError as error:
                failures.append(str(error))
            finally:
                with changed:
                    busy.discard(chosen)
                    changed.notify_all()

    # Futures are waited for, not threads: up to Python 3.12 a thread whose join a signal interrupted counts as ended, and is not waited for again.
    with Termination() as termination, futures.ThreadPoolExecutor(place.jobs) as pool:  # leaving the pool waits for all workers, whatever happens
        workers = []
        try:
            workers += [pool.submit(work, number) for number in range(place.jobs)]
            while futures.wait(workers, timeout=1).not_done:
                pass  # a signal that came just before the wait is handled now
        finally:
            if termination.asked:
                children.end()
    for worker in workers:
        worker.result()
    if failures:
        raise UserError(failures[0], "What was finished is kept; the same command goes on from there.")


def gpu_of(worker: int, place: Place) -> dict[str, str]:
    """The environment variables that give parallel runs a GPU each, as far as there are enough; empty for one run at a time, one GPU, or a given ``--device``."""
    name, count = "CUDA_VISIBLE_DEVICES", torch.cuda.device_count()
    if place.jobs == 1 or count < 2 or any(word.partition("=")[0] == "--device" for word in place.extra):
        return {}
    seen = os.environ.get(name, "").split(",") if os.environ.get(name) else [str(number) for number in range(count)]
    return {name: seen[worker % len(seen)]}


def _shares_start(cell: Cell, busy: Iterable[Cell], begins: Callable[[Cell], str | None]) -> bool:
    """Whether a run under way begins with the same stage, so that this one would only wait for it."""
    return any(other.seed == cell.seed and begins(other) == begins(cell) is not None for other in busy)


def _beginning(plan: Study, cell: Cell, extra: Sequence[str]) -> str | None:
    """The key of a run's first stage, as far as it is known before images are read; none for an ensemble, and for an impossible run, which reports its error itself."""
    if cell.arm in plan.ensembles:
        return None
    try:
        config = configuration.parse(Config, [*study.flags(plan, cell), *extra], recipes=True)
        first = plans.build(config)[0]
    except UserError:
        return None
    imitated = first.reference and first.reference.checkpoint
    return stage_key(config, first, 0, device=torch.device("cpu"), data_hash=f"{config.dataset} {config.data}", scored=None, before=None, reference=imitated)


def run_cell(plan: Study, cell: Cell, place: Place, children: Children) -> dict[str, Any]:
    """Trains and scores one cell in a process of its own, or puts an ensemble together; returns its record.

    A try for a rate at which training diverged has the worst score there is: without a record it would be made again and again.
    """
    run = place.folder / cell.name
    try:
        _run(words_of(plan, cell, place), place, cell.name, children)
    except UserError:
        if not cell.held_out or not (run / runs.FACTS).is_file() or "diverged" not in (facts := runs.read_facts(run)):
            raise
        return {**_settings_of(plan, cell, run), "scores": {"mAP": 0.0}, "diverged": facts["diverged"], "data_hash": facts["data_hash"], "precision": facts["precision"], "date": facts["started"][:10]}
    return _record_of_ensemble(plan, cell, place) if cell.arm in plan.ensembles else record_of(plan, cell, run)


def words_of(plan: Study, cell: Cell, place: Place) -> list[str]:
    """The sub-command and its arguments: to train and score a cell, to resume it, or to score an ensemble of finished runs.

    Raises:
        UserError: its folder was begun with other settings, or a member of the ensemble is not there.
    """
    run, moved = place.folder / cell.name, ["--data_root", place.data_root] if place.data_root else []
    if cell.arm in plan.ensembles:
        found = records.read(place.record)
        checkpoints = [str(_network(place.folder / member.name, stage)) for stage, member in _members(plan, cell, found)]
        return ["eval", "--checkpoint", checkpoints[0], "--members", *checkpoints[1:], "--no_save", "true", "--output", str(run), *moved]
    words = [*study.flags(plan, cell), "--evaluate", "val" if cell.held_out else "test", "--output", str(run), *place.extra, *moved]
    if (run / runs.CONFIG).is_file():
        settings.check_run(run, words)
        words = ["--resume", str(run), *moved]
    return ["train", *words]


def _run(words: list[str], place: Place, title: str, children: Children) -> None:
    """Runs a sub-command in a process of its own, with its output in a log. Raises ``UserError`` with the last line of that where it fails."""
    log = place.folder / "logs" / f"{title}.log"
    files.make_folder(log.parent)
    code = children.run([sys.executable, "-m", "reid_srdl", *words], log, place.environment)
    if code != 0:
        last = next((line for line in reversed(log.read_text().splitlines()) if line.strip()), "it said nothing")
        raise UserError(f"{title} ended with code {code}: {last}", f"Its log is {log}.")


def _settings_of(plan: Study, cell: Cell, run: Path) -> dict[str, Any]:
    return {"command": ["train", *study.flags(plan, cell)], "settings": settings.of_run(run)}


def record_of(plan: Study, cell: Cell, run: Path) -> dict[str, Any]:
    """What is kept of a finished run: scores, costs, and how to run it again."""
    facts = runs.read_facts(run)
    # eval/ may also hold scores of earlier stages and of other data sets.
    paths = [runs.score_file(run, name, "val" if cell.held_out else "test") for name in part_names(facts["dataset"])]
    if not facts["finished"] or not all(path.is_file() for path in paths):
        raise UserError(f"the run {run} is not finished and scored", f"Go on with it: {command('train', '--resume', run)}")
    parts = [files.read_json(path) for path in paths]
    stages = facts["stages"]
    scored = [next(metrics[kind] for kind in ("single", "classification") if kind in metrics) for metrics in parts]
    multi = [metrics["multi"] for metrics in parts if "multi" in metrics]
    return {
        **_settings_of(plan, cell, run),
        "scores": _means(scored, KEPT),
        "multi": _means(multi, ("rank1", "mAP")) if len(multi) == len(parts) else None,
        "best": _best_epoch(run, stages[-1]["folder"]),
        "cross_entropy": stages[-1].get("kept", stages[-1]["final"])["cross_entropy"],
        "macs": cost.of_run(run).total,
        "soft_targets": soft_targets.of_run(run),
        "stages": [{key: stage[key] for key in ("name", "epochs", "shared", "seconds", "images_per_s")} for stage in stages],
        "kind": "classes" if "classification" in parts[0] else "identities",
        **{key: facts[key] for key in ("images", "identities", "data_hash", "precision", "threads", "hardware", "versions")},
        "model": stages[-1]["model"],
        "date": facts["started"][:10],
    }


def _means(scored: list[dict[str, float]], names: Iterable[str]) -> dict[str, float]:
    """Each score's mean over the data sets that were trained on together, as in the log; with one data set, its own scores."""
    return {name: sum(one[name] for one in scored) / len(scored) for name in names if all(name in one for one in scored)}


def _best_epoch(run: Path, stage: str) -> dict[str, Any] | None:
    """The epoch of a stage that scored highest on the test split during training, if it was scored there. It is chosen by that score, so it is no result."""
    if configuration.load(run / runs.CONFIG).log.eval_split != "test":
        return None
    rows = runs.read_log(run / "stages" / stage)
    for name in ("val_rank1", "val_top1"):
        scored = [(row[name], int(row["epoch"] or 0)) for row in rows if row.get(name) is not None]
        if scored:
            value, epoch = max(scored, key=lambda pair: pair[0])
            return {"value": value, "epoch": epoch, "scored": len(scored)}
    return None


def _members(plan: Study, cell: Cell, found: Found) -> list[tuple[str | None, Cell]]:
    """The stage and the run of each member of an ensemble."""
    return [(member.stage, study.member_cell(plan, member, cell.seed, found)) for member in study.members_of(plan, cell.arm)]


def _record_of_ensemble(plan: Study, cell: Cell, place: Place) -> dict[str, Any]:
    """What is kept of an ensemble that was scored."""
    found = records.read(place.record)
    members = [run for _, run in _members(plan, cell, found)]
    scored = files.read_json(place.folder / cell.name / runs.METRICS)["ensemble"]
    trained = {run: found[run] for run in members}  # a run that gives two networks is paid for once
    first = next(iter(trained.values()))
    return {
        "command": ["eval", "--checkpoint", members[0].name, "--members", *(run.name for run in members[1:])],
        "scores": {name: scored[name] for name in KEPT if name in scored},
        "macs": sum(record["macs"] for record in trained.values()),
        "stages": [stage for record in trained.values() for stage in record["stages"]],
        **{key: first[key] for key in ("kind", "images", "identities", "data_hash", "precision", "threads", "hardware", "versions", "date")},
    }


def _network(run: Path, stage: str | None) -> Path:
    """Where a network of a run is: the run folder, for the last one, or the folder of the stage with that name."""
    if stage is None:
        return run
    finished = {folder.name.partition("-")[2]: folder for folder in runs.finished_stages(run)}
    if stage not in finished:
        raise UserError(
            f"the run {run} has no finished stage {stage!r}, which is a member of an ensemble",
            f"Its stages: {', '.join(finished)}." if finished else "Put its folder back there, or move the records away to train it anew.",
        )
    return finished[stage]
