"""The folder that a run is written into: its default name, what is refused there, and that only one process writes it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import files, locks, ranks, runs
from ..config import Config
from ..errors import UserError
from ..shell import command
from . import plans

_LOCK = ".lock"


def default_folder(config: Config) -> Path:
    """``runs/DATASET-BACKBONE-PLAN-sSEED``."""
    backbone = config.model.backbone.replace(":", "-").replace("/", "-")
    return Path("runs") / f"{config.dataset}-{backbone}-{config.plan.name}-s{config.seed}"


def accept(config: Config, resume: bool = False) -> Path:
    """The folder that ``train`` will write into; no image is looked at.

    Raises:
        UserError: that folder holds another run or other files, or there is no such plan, or its epochs do not fit.
    """
    folder = files.expanded(config.output) if config.output else default_folder(config)
    if resume and (folder / runs.FACTS).is_file() and runs.is_adopted(runs.read_facts(folder)):
        weights = runs.checkpoint_file(folder)
        raise UserError(f"{folder} was trained elsewhere, so there is nothing to go on with", f"A run of its own begins from its weights with --model.weights {weights}.")
    if not resume:
        # Of several processes the first claims the folder, maybe before the others have come here.
        if ranks.own()[0] == 0 and _is_claimed(folder):
            raise _busy(folder)
        _refuse_other_run(folder)
    plans.build(config)
    return folder


def _refuse_other_run(folder: Path) -> None:
    if (folder / runs.CONFIG).exists():
        finished = runs.read_facts(folder).get("finished") if (folder / runs.FACTS).is_file() else False
        ways = "Delete it, or choose another --output."
        raise UserError(
            f"{folder} already holds a {'finished' if finished else 'broken-off'} run",
            ways if finished else f"Go on with it: {command('train', '--resume', folder)}  {ways}",
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file", "Choose another folder with --output.")
    if folder.is_dir() and {path.name for path in folder.iterdir()} - {_LOCK, *(path.name for path in files.temporary(folder))}:
        raise UserError(f"{folder} is not empty and holds no run", "Choose another folder with --output.")


def _is_claimed(folder: Path) -> bool:
    """Whether another process trains in the folder, as far as is known: False where its lock cannot be read."""
    try:
        with open(folder / _LOCK) as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _busy(run: Path) -> UserError:
    return UserError(f"another process is training in {run}", "Wait for it; a new run may have another folder (--output).")


@contextlib.contextmanager
def claimed(run: Path, resume: bool = True, says: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Holds a run folder for this process; ``says`` is told where the disk has no locks.

    Raises:
        UserError: the folder cannot be written into; another process trains in it or, without ``resume``, has done so since ``accept``.
    """
    with contextlib.ExitStack() as stack:
        try:
            run.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(locks.held(run / _LOCK, says=says))
        except OSError as error:
            way = "Have it made writable, or copy the run to where you may write and go on with it there." if resume else "Choose another folder with --output."
            raise UserError(f"cannot write into {run}: {error.strerror}", way) from None
        if not mine:
            raise _busy(run)
        if not resume:
            _refuse_other_run(run)
        for folder in (run, *run.glob("stages/*")):
            files.remove_temporary(folder)  # a killed process left them
        yield
