"""Carries a plan out in a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import config as configuration
from .. import devices, files, ranks, runs
from ..config import Config
from ..data.records import ClassData, ReIDData
from ..errors import UserError
from ..inference import Track
from ..models import IdentityClassifier
from ..progress import TrainingDisplay
from ..registered import code_of
from ..shell import command
from . import checkpoint, handed_on, imitated, kept, log, loggers, plans, precision, together
from .beginnings import Beginnings
from .diverged import way_out
from .engine import NonFiniteLoss, StageTrainer, Watcher
from .facts import describe, differences
from .folder import accept, claimed
from .keys import stage_key
from .material import Material
from .plans import Stage
from .reference import Reference
from .scored_images import scored_hash
from .stage_store import StageStore
from .termination import Terminated, Termination

_WAITING = "waiting"
Score = Callable[[IdentityClassifier, devices.Place], dict[str, float]]
"""Scores a network during training. ``rank1``, ``mAP``, ``top1`` and ``loss`` have columns in ``log.csv``, as ``val_…``; TensorBoard and Weights & Biases get all scores."""


class Onlooker(Watcher, Protocol):
    """What is told of the progress of a whole run."""

    def says(self, line: str) -> None: ...

    def tracks(self, title: str) -> Track: ...


def train(
    config: Config, data: ReIDData | ClassData, *, watch: Onlooker | None = None, score: Score | None = None, resume: bool = False, termination: Termination | None = None
) -> Path:
    """Trains by the plan of ``config`` and returns the run folder.

    Args:
        config: with ``output`` set, or left to ``folder.default_folder``.
        data: only its ``train`` split is looked at, with as many people or images as the configuration says.
        watch: is told of all that happens; by default a ``TrainingDisplay`` on standard error.
        score: is called after every ``log.eval_every`` epochs; a plan that keeps the best one chooses by its ``mAP``, or else ``top1``.
        resume: go on with the run in the folder; the result is bit-identical to that of an unbroken run.
        termination: has SIGTERM save the state and end the run.

    Raises:
        UserError: anything that the user can put right; before the first step nothing has been written.
        Terminated: SIGTERM has come; ``resume`` goes on from there.
    """
    configuration.check(config)
    devices.join(config.device)
    watch = TrainingDisplay(quiet=ranks.own()[0] > 0) if watch is None else watch
    folder = accept(config, resume)
    if resume:
        # What the first start settled (the precision) is in the configuration of the run folder.
        begun = configuration.load(folder / runs.CONFIG)
        config = dataclasses.replace(begun, output=str(folder), device=config.device, data_root=config.data_root or begun.data_root)
    plan = plans.build(config)
    kept.check_asked(plan, scores=score is not None)
    return _Run(config, folder, plan, data, watch, score, termination).carry_out(resume)


class _Run:
    def __init__(
        self, config: Config, folder: Path, plan: plans.Plan, data: ReIDData | ClassData, watch: Onlooker, score: Score | None, termination: Termination | None = None
    ) -> None:
        self.config, self.folder, self.plan, self.watch, self.score = config, folder, plan, watch, score
        self.termination = termination or Termination()
        self.device = devices.choose(devices.own_device(config.device))
        precision.check(config.precision, self.device)  # a run that began on a GPU may be taken up elsewhere
        devices.set_threads(config.threads)
        self.material = Material(config, data, self.device, says=watch.says, tracks=watch.tracks)
        # A key knows a user's score only by the file of its code: two scores in one file may choose different epochs, so these are not stored.
        told_apart = score is None or code_of(score) is None or all(stage.keep == "last" for stage in plan)
        self.store = StageStore(folder.parent / ".stages", watch.says, open=told_apart)
        self.beginnings = Beginnings(config, folder, plan, len(self.material.labels), says=watch.says)
        self.scored = scored_hash(data, config.log.eval_split) if config.log.eval_every and score is not None else None
        self.keys: list[str] = []
        self.rank, self.world = ranks.own()
        self.timed: dict[str, float] = {}

    # --- the run as a whole ---------------------------------------------------------------------------------------

    def carry_out(self, resume: bool) -> Path:
        # Whatever can go wrong with networks and images goes wrong before anything is written.
        first = None if resume else self.beginnings.weights(0)
        if not resume:
            self.beginnings.check_later()
        imitated.check_checkpoints(self.plan, self.material)
        self.material.check_shares(self.world)
        told = loggers.of(self.config, self.folder) if self.rank == 0 else []
        self.material.open()
        if first is not None:
            self.material.check_alone(first)
            self._settle_precision(first)
        with contextlib.ExitStack() as stack:
            if self.rank == 0:
                stack.enter_context(claimed(self.folder, resume, self.watch.says))
            stack.push(lambda kind, *_: loggers.finish(told, failed=kind is not None))
            loggers.start(told)
            self.fabric = devices.launch(self.device, self.config.precision, told)
            self.unscaled = self.fabric.strategy.precision.state_dict()
            self.place = devices.Place(self.fabric.device, self.config.precision, self.rank, self.world)
            together.check_same_work(self.place, self._work())
            facts = self._begin(resume)
            together.check_same_folder(self.place, self.folder / runs.FACTS)
            for number, stage in enumerate(self.plan):
                known = facts["stages"][number]
                begun, first = first, None  # so that no later stage holds its memory
                known.update(self._carry_out_stage(stage, number, begun, known))
                del begun
                facts["seconds"] = sum(part.get("seconds", 0.0) for part in facts["stages"])
                self._write_facts(facts)
            facts["finished"] = True
            self._write_facts(facts)
            if self.rank == 0:
                (self.folder / runs.RESUME).unlink(missing_ok=True)
            self.fabric.barrier()
        return self.folder

    def _work(self) -> dict[str, str]:
        """What each process finds out for itself and all have to agree on; where their files lie may differ."""
        shown = configuration.as_yaml(dataclasses.replace(self.config, output=None, data_root=None, threads=None))
        scored = {} if self.scored is None else {"list of images to be scored": self.scored[:8]}
        return {
            "list of training images": f"{len(self.material.split):,} of {len(self.material.labels):,} {self.material.kind} ({self.material.hash[:8]})",
            **scored,
            "configuration": files.sha256_json(shown)[:8],
        }

    def _settle_precision(self, first: IdentityClassifier) -> None:
        settled, self.timed = precision.settle(
            self.config.precision, itertools.chain([first], self.beginnings.others()), device=self.device, size=self.config.size,
            batch=-(-min(self.config.data.batch, len(self.material.split)) // self.config.optimiser.accumulate),
        )
        self.config = dataclasses.replace(self.config, precision=settled)

    def _begin(self, resume: bool) -> dict[str, Any]:
        """Writes the configuration and the facts of a first start; checks those of a resumed one."""
        facts = describe(
            self.config, self.plan, dataset=self.material.name, images=len(self.material.split), identities=len(self.material.labels), kind=self.material.kind,
            data_hash=self.material.hash, scored=self.scored, device=devices.choose(self.config.device), precision_timed=self.timed,
        )  # fmt: skip
        if resume and (self.folder / runs.FACTS).is_file():  # else it was broken off before anything was trained
            before = runs.read_facts(self.folder)
            for line in differences(before, facts, self.folder):
                self.watch.says(line)
            facts = {key: value for key, value in before.items() if key != "diverged"}
            if self.rank == 0:
                self._keep_place()
        elif self.rank == 0 and not resume:
            configuration.save(dataclasses.replace(self.config, output=str(self.folder)), self.folder / runs.CONFIG)
        self._write_facts(facts)
        return facts

    def _keep_place(self) -> None:
        """Writes where the data set is now into the configuration, for commands that look for it later."""
        begun = configuration.load(self.folder / runs.CONFIG)
        if begun.data_root != self.config.data_root:
            configuration.save(dataclasses.replace(begun, data_root=self.config.data_root), self.folder / runs.CONFIG)

    def _write_facts(self, facts: dict[str, Any]) -> None:
        if self.rank == 0:
            files.write_json(self.folder / runs.FACTS, facts)

    # --- one stage ------------------------------------------------------------------------------------------------

    def _carry_out_stage(self, stage: Stage, number: int, network: IdentityClassifier | None, known: Mapping[str, Any]) -> dict[str, Any]:
        """Trains the stage unless it is finished, here or in the store; returns its facts, of which ``known`` may hold some."""
        target = runs.stage_folder(self.folder, number, stage.name)
        reference = imitated.soft_targets(
            self.folder, self.plan, number, config=self.config, material=self.material, fabric=self.fabric, place=self.place, watch=self.watch
        )
        self.keys.append(self._key(stage, number, reference, known.get("key") if (target / runs.MODEL).is_file() else None))
        called = f"stage {number + 1} of {len(self.plan)}, {stage.name}"

        said = False

        def waits() -> None:
            nonlocal said
            if not said:
                self.watch.says(f"{called}: waits for a run that began alike and trains this stage now")
            said = True
            self.fabric.broadcast(_WAITING)  # else the others would time out waiting for the first

        with self.store.lock(self.keys[-1], waits) if self.rank == 0 else contextlib.nullcontext():
            # Only the first process knows what is on its disk; the others follow what it found.
            found = "here" if (target / runs.MODEL).is_file() else ""
            if self.rank == 0 and not found and self._state(number) is None and self.store.take(self.keys[-1], target):
                found = "stored"
            while (found := self.fabric.broadcast(found)) == _WAITING:
                pass
            if found:
                where = "is finished" if found == "here" else "is taken from an earlier run that began alike"
                self.watch.says(f"{called}: {where}")
            else:
                self._train(stage, number, target, network, reference)
                if self.rank == 0:
                    self.store.put(self.keys[-1], target)
        self.fabric.barrier()
        together.await_files(self.place, target / runs.LOG, target / runs.MODEL)
        rows = runs.read_log(target)
        if not rows:
            raise UserError(f"{target / runs.LOG} holds no epoch of a stage that is finished", f"Remove {target / runs.MODEL} to have it trained again: {command('train', '--resume', self.folder)}")
        chosen = kept.chosen(rows) if stage.keep == "best" else None
        return {
            "key": self.keys[-1],
            "shared": known.get("shared", False) if found == "here" else found == "stored",
            "seconds": sum(row["seconds"] or 0.0 for row in rows),
            "images_per_s": float(np.median([row["images_per_s"] or 0.0 for row in rows])),
            "waited": sum(row["waited"] or 0.0 for row in rows),
            "model": runs.read_model(target / runs.MODEL).hash,
            "final": rows[-1],
            **({"kept": {"by": chosen[1], **rows[chosen[0]]}} if chosen is not None else {}),
        }

    def _key(self, stage: Stage, number: int, reference: Reference | None, finished: str | None) -> str:
        """The key that the stage is stored under; that of a finished stage is kept (``finished``), whatever the conditions are now."""
        if finished is not None:
            return finished
        key = stage_key(
            self.config, stage, number, device=self.device, data_hash=self.material.hash, scored=self.scored, score=self.score,
            before=self.keys[number - 1] if stage.start == "continue" else None, reference=reference.how if reference is not None else None,
        )  # fmt: skip
        state = self._state(number)
        began = key if state is None else state.get("key")
        # A stage that began under other conditions (threads, device) has a key of its own: a run that trains it under one of them alone must not get it.
        return key if began == key else files.sha256_json([began, key])[:32]

    def _state(self, number: int) -> dict[str, Any] | None:
        """The saved training state of a stage that is not finished; None where there is none."""
        path = self.folder / runs.RESUME
        state = checkpoint.load(path) if path.is_file() else None
        return state if state is not None and state["stage"] == number else None

    def _train(self, stage: Stage, number: int, target: Path, network: IdentityClassifier | None, reference: Reference | None) -> None:
        state = self._state(number)
        if network is None:
            network = self.beginnings.weights(number) if state is None else self.beginnings.bare(number)
        loader = self.material.loader(self.fabric.device, self.rank, self.world)
        if self.unscaled:  # fp16's loss scale starts anew in each stage, so that a stage does not depend on those before
            self.fabric.strategy.precision.load_state_dict(self.unscaled)
        trainer = StageTrainer(
            stage, number, network, loader, self.fabric,
            reference=reference.to(self.fabric.device) if reference is not None else None, seed=self.config.seed, compiled=self.config.compile,
        )  # fmt: skip
        if state is not None:
            trainer.restore(state)
        if self.rank == 0:
            log.cut(target / runs.LOG, trainer.progress.epoch)

        def save() -> None:
            if self.rank == 0:
                checkpoint.save({**trainer.state(), "key": self.keys[number]}, self.folder / runs.RESUME)

        try:
            every = self.config.log.checkpoint_minutes * 60
            with self.termination.deferred():
                for row in trainer.epochs(self.watch, save=save, save_every=every, termination=self.termination):
                    self._end_epoch(stage, number, target, trainer, row)
                    save()
                    if self.rank == 0 and stage.keep == "best":
                        self._drop_others(target)
                    if trainer.told_to_end(self.termination):
                        raise Terminated
        except NonFiniteLoss as error:
            self._write_facts({**runs.read_facts(self.folder), "diverged": stage.name})
            paths = ", ".join(self.material.split.paths[index] for index in error.indices)
            raise UserError(f"{error.message}, in the batch of: {paths}" if paths else error.message, way_out(self.config, self.folder, stage)) from None
        if self.rank == 0:
            if stage.keep == "best":
                self._drop_others(target)
                rows = runs.read_log(target)
                kept.file_of(target, rows[kept.chosen(rows)[0]]).replace(target / runs.MODEL)
            else:
                handed_on.write(target, trainer, lambda path, network: self._save_model(path, network, stage))

    def _save_model(self, path: Path, network: IdentityClassifier, stage: Stage) -> None:
        runs.save_model(path, network, stage.model, self.config.size, self.material.labels, self.config.data.crop, self.material.class_names)

    def _keep_if_best(self, target: Path, network: IdentityClassifier, stage: Stage, row: dict[str, Any]) -> None:
        """Saves the network where it scores higher on the held-out part than all epochs before it in the log."""
        rows = [*runs.read_log(target), row]
        found = kept.chosen(rows)
        if found is not None and found[0] == len(rows) - 1:
            self._save_model(kept.file_of(target, row), network, stage)

    def _drop_others(self, target: Path) -> None:
        """Deletes the networks of all epochs but the best, once the state is saved: a run resumed from an earlier state, with other threads, may choose another epoch."""
        for file in kept.others(target):
            file.unlink(missing_ok=True)

    def _end_epoch(self, stage: Stage, number: int, target: Path, trainer: StageTrainer, row: dict[str, Any]) -> None:
        every = self.config.log.eval_every
        if self.score is not None and every and (row["epoch"] + 1) % every == 0:
            ranks.alike(trainer.handed_on.state_dict().values())
            row.update({f"val_{name}": value for name, value in self.score(trainer.handed_on, self.place).items()})
            if stage.keep == "best":
                kept.check_scored(row)
        if self.rank == 0:
            if stage.keep == "best":
                self._keep_if_best(target, trainer.handed_on, stage, row)
            log.append(target / runs.LOG, row)
        step = sum(earlier.epochs for earlier in self.plan[:number]) + row["epoch"]
        self.fabric.log_dict({name: value for name, value in row.items() if value is not None and name != "epoch"}, step=step)
