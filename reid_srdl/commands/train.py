"""Train a network: by Self-Referenced Deep Learning unless told otherwise."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import config as configuration
from .. import devices, files, ranks, runs
from ..config import Config
from ..data import part_names, parts_of, read
from ..data.records import ClassData, ReIDData
from ..errors import UserError
from ..evaluation.scored import Scored
from ..progress import TrainingDisplay, tracked
from ..shell import command
from ..training import beliefs, loggers
from ..training.folder import accept
from ..training.idle import idle
from ..training.run import train
from ..training.termination import Terminated, Termination
from . import checks
from .eval import default_output, show
from .eval_options import EvalOptions
from .kinds import kind_of

NOTES = "train --resume RUN goes on with a run that was broken off (--resume RUN --device cpu on a machine without its GPU, --data_root DIR where the data sets have moved). --eval_every N and --skip_corrupt are short for --log.eval_every and --data.skip_corrupt."


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with a run that was broken off; all else is as its own configuration says.

    Args:
        resume: the run folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; null means the run's.
        data_root: where the data sets are now; null means the run's.
    """

    resume: Optional[str] = None
    device: Optional[str] = None
    data_root: Optional[str] = None


def run(argv: list[str]) -> int:
    """Trains by a plan, scores the result, and writes the report."""
    config, resumed = _asked(argv)
    first = ranks.own()[0] == 0
    display = TrainingDisplay(quiet=not first)
    folder = accept(config, resumed)
    if resumed and _is_whole(folder, config):
        if first:
            scored = (folder / "eval").is_dir()  # a run that was trained with --evaluate none may have been scored since
            print(f"The run in {folder} is finished: {f'its scores are in {folder}/eval' if scored else 'it was not scored'}, its report is {folder / runs.REPORT}.")
            print("To score it anew:" if scored else "To score it:", command("eval", "--checkpoint", folder))
        return 0
    began = time.time() - 2  # clocks of file systems may be a little behind
    try:
        with Termination() as termination:
            try:
                with ranks.among_others():
                    devices.join(config.device)
                    loggers.of(config, folder)  # what is not installed is told before data sets are read
                    data = data_of(config)
                    if without := idle(config):
                        display.says(f"warning: without effect in this run: {', '.join(without)}")
                    checks.can_be_scored(config, data, display.tracks)
                    score = kind_of(data).score_during(data, config) if config.log.eval_every else None
                    train(_from_anywhere(config), data, watch=display, score=score, resume=resumed, termination=termination)
            finally:
                display.close()
                ranks.leave()
            if first:
                _conclude(folder, config, data)
    except (KeyboardInterrupt, Terminated):
        if first and (folder / runs.CONFIG).is_file():
            print(f"\nThe run goes on where it was with: {command('train', '--resume', folder)}")
        raise
    except UserError:
        if first and _has_begun(folder, resumed, began):
            print(f"Once that is mended, the run goes on where it was with: {command('train', '--resume', folder)}", file=sys.stderr)
        raise
    return 0


def _has_begun(folder: Path, resumed: bool, since: float) -> bool:
    """Whether a run that failed can be resumed: it is this one, and has not diverged, which has a way out of its own."""
    config, facts = folder / runs.CONFIG, folder / runs.FACTS
    try:
        return facts.is_file() and (resumed or config.stat().st_mtime >= since) and "diverged" not in runs.read_facts(folder)
    except (OSError, UserError):
        return False


def _asked(argv: list[str]) -> tuple[Config, bool]:
    """The configuration, and whether a run is taken up again (``--resume RUN``)."""
    if not any(word.partition("=")[0] == "--resume" for word in argv):
        return configuration.parse(Config, argv, "train", recipes=True, notes=NOTES), False
    try:
        asked = configuration.parse(ResumeOptions, argv, "train")
    except UserError:
        asked = ResumeOptions()
    if not asked.resume:
        raise UserError("--resume takes one run folder, and at most --device and --data_root", "The run goes on with its own configuration.")
    config = configuration.load(Path(asked.resume) / runs.CONFIG)
    return dataclasses.replace(config, output=asked.resume, device=asked.device or config.device, data_root=asked.data_root or config.data_root), True


def _is_whole(folder: Path, config: Config) -> bool:
    """Whether a run has been trained, scored and reported on to the end, and no network of it has been deleted since."""
    if not (folder / runs.FACTS).is_file() or not (facts := runs.read_facts(folder))["finished"]:
        return False
    models = [folder / "stages" / stage["folder"] / runs.MODEL for stage in facts["stages"]]
    scored = [] if config.evaluate == "none" else [runs.score_file(folder, name, config.evaluate) for name in part_names(config.dataset)]
    return all(path.is_file() for path in (folder / runs.REPORT, *models, *scored))


def _from_anywhere(config: Config) -> Config:
    """The configuration with absolute paths, so that the run can be resumed from any folder."""
    teacher = config.plan.teacher
    if teacher.checkpoint is not None:
        teacher = dataclasses.replace(teacher, checkpoint=os.path.abspath(files.expanded(teacher.checkpoint)))
    if (weights := files.expanded(teacher.weights)).is_file():
        teacher = dataclasses.replace(teacher, weights=os.path.abspath(weights))
    model = config.model
    if (weights := files.expanded(model.weights)).is_file():
        model = dataclasses.replace(model, weights=os.path.abspath(weights))
    root = os.path.abspath(configuration.data_root(config.data_root))
    return dataclasses.replace(config, data_root=root, model=model, plan=dataclasses.replace(config.plan, teacher=teacher))


def data_of(config: Config) -> ReIDData | ClassData:
    """The data set of a configuration, with its training people or images limited and held out as it says."""
    data = read(config.dataset, configuration.data_root(config.data_root))
    return kind_of(data).limited(data, config)


def _conclude(folder: Path, config: Config, data: ReIDData | ClassData) -> None:
    """Scores the last network, writes the report, and says what there is now and what comes next."""
    from ..report import write

    scored = _score(folder, config, data) if config.evaluate != "none" else {}
    if config.log.diagnostics:
        beliefs.compare(folder, config.device, data.train, tracked("comparing with the soft targets"))
    report = write(folder, data=parts_of(data)[0], dataset=next((output for _, output in scored.values()), None))
    # All files are written by now, so a closed pipe does no harm.
    print(f"The run is in {folder}")
    for name, (found, _) in scored.items():
        show(found, f"{folder} on {name}")
    print(f"Report: {report} (open it in a browser)")
    print("Next, take embeddings away:", command("embed", "--checkpoint", folder, "--images", "DIR", "--output", "embeddings.npz"))


def _score(folder: Path, config: Config, data: ReIDData | ClassData) -> dict[str, tuple[Scored, str]]:
    """Scores the run, and its earlier stages where they are compared, on each of its sets; returns the run's scores and the name of their folder in ``eval/``, by set."""
    kind, options = kind_of(data), EvalOptions(split=config.evaluate, metric=config.distance, device=config.device)
    earlier = runs.finished_stages(folder)[:-1] if config.log.diagnostics and kind.compares_stages else []
    for checkpoint in (*earlier, folder):
        trained = runs.load(checkpoint, config.device)
        scored = {}
        for name, part in zip(part_names(config.dataset), parts_of(data), strict=True):
            found = kind.evaluate(trained, part, options, [], tracked)
            output = default_output(checkpoint, trained, name, config.evaluate)
            found.save(output)
            scored[name] = (found, output.name)
    return scored
