"""Carries a plan out in a run folder."""

from __future__ import annotations

import contextlib
import dataclasses
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
from ..models import IdentityClassifier, configured
from ..seeds import forked
from . import beliefs, checkpoint, handed_on, imitated, kept, log, loggers, plans, precision, together
from . import reference as references
from .diverged import way_out
from .engine import NonFiniteLoss, StageTrainer, Watcher
from .facts import describe, differences
from .folder import accept, claimed
from .keys import stage_key
from .material import Material
from .plans import Stage
from .stage_store import StageStore
from .termination import Terminated, Termination

_WAITING = "waiting"
Score = Callable[[IdentityClassifier, devices.Place], dict[str, float]]
"""Scores a network during training; the result goes into the log under its own names."""


class Onlooker(Watcher, Protocol):
    """Who looks on at a whole run."""

    def says(self, line: str) -> None: ...

    def tracks(self, title: str) -> Track: ...


def train(
    config: Config, data: ReIDData | ClassData, *, watch: Onlooker, score: Score | None = None, resume: bool = False, termination: Termination | None = None
) -> Path:
    """Trains by the plan of ``config`` and returns the run folder.

    Args:
        config: with ``output`` set, or left to ``folder.default_folder``.
        data: only its ``train`` split is looked at.
        watch: is told of all that happens.
        score: is called after every ``log.eval_every`` epochs.
        resume: go on with the run in the folder; the end is bit-identical to that of a run that was never broken off.
        termination: has SIGTERM save the state and end the run.

    Raises:
        UserError: anything that the user can put right; before the first step nothing has been written.
        Terminated: it was asked for; ``resume`` goes on from there.
    """
    devices.join(config.device)
    folder = accept(config, resume)
    if resume:
        # What the first start settled (the precision) stands in the run folder.
        config = dataclasses.replace(configuration.load(folder / runs.CONFIG), output=str(folder), device=config.device)
    plan = plans.build(config)
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
        self.store = StageStore(folder.parent / ".stages", watch.says)
        self.keys: list[str] = []
        self.rank, self.world = ranks.own()
        self.timed: dict[str, float] = {}

    # --- the run as a whole ---------------------------------------------------------------------------------------

    def carry_out(self, resume: bool) -> Path:
        # Whatever can go wrong with the first network and the images goes wrong before anything is written.
        first = None if resume else self._first_weights(self.plan[0], 0)
        for stage in self.plan:
            if stage.reference is not None and stage.reference.checkpoint is not None:
                imitated.check_labels(stage.reference, imitated.of_checkpoint(stage.reference), self.material.labels, self.material.name)
        self.material.check_shares(self.world)
        told = loggers.of(self.config, self.folder) if self.rank == 0 else []
        self.material.open()
        if first is not None:
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
        """What all processes have to agree on, as far as each finds out for itself; where its files lie is its own affair."""
        shown = configuration.as_yaml(dataclasses.replace(self.config, output=None, data_root=None, threads=None))
        return {
            "list of training images": f"{len(self.material.split):,} of {len(self.material.labels):,} {self.material.kind} ({self.material.hash[:8]})",
            "configuration": files.sha256_json(shown)[:8],
        }

    def _settle_precision(self, network: IdentityClassifier) -> None:
        settled, self.timed = precision.settle(
            self.config.precision, network, device=self.device, size=self.config.size, batch=-(-self.config.data.batch // self.config.optimiser.accumulate)
        )
        self.config = dataclasses.replace(self.config, precision=settled)

    def _begin(self, resume: bool) -> dict[str, Any]:
        """Writes the configuration and the facts of a first start; checks those of a resumed one."""
        facts = describe(
            self.config, self.plan, dataset=self.material.name, images=len(self.material.split), identities=len(self.material.labels), kind=self.material.kind,
            data_hash=self.material.hash, device=devices.choose(self.config.device), precision_timed=self.timed,
        )  # fmt: skip
        if resume and (self.folder / runs.FACTS).is_file():  # else it was broken off before anything was trained
            before = runs.read_facts(self.folder)
            for line in differences(before, facts, self.folder):
                self.watch.says(line)
            facts = before
        elif self.rank == 0 and not resume:
            configuration.save(dataclasses.replace(self.config, output=str(self.folder)), self.folder / runs.CONFIG)
        self._write_facts(facts)
        return facts

    def _write_facts(self, facts: dict[str, Any]) -> None:
        if self.rank == 0:
            files.write_json(self.folder / runs.FACTS, facts)

    # --- one stage ------------------------------------------------------------------------------------------------

    def _carry_out_stage(self, stage: Stage, number: int, network: IdentityClassifier | None, known: Mapping[str, Any]) -> dict[str, Any]:
        """Trains the stage unless it is finished, here or in the store; returns its facts, of which ``known`` may hold some."""
        target = runs.stage_folder(self.folder, number, stage.name)
        reference = self._reference(stage, number)
        self.keys.append(self._key(stage, number, reference, known.get("key") if (target / runs.MODEL).is_file() else None))
        called = f"stage {number + 1} of {len(self.plan)}, {stage.name}"

        said = False

        def waits() -> None:
            nonlocal said
            if not said:
                self.watch.says(f"{called}: waits for a run that began alike and trains this stage now")
            said = True
            self.fabric.broadcast(_WAITING)  # the others would else give the first up for lost

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

    def _key(self, stage: Stage, number: int, reference: references.Reference | None, finished: str | None) -> str:
        """What the stage is stored under; ``finished`` if it has been, under whatever conditions it was."""
        if finished is not None:
            return finished
        key = stage_key(
            self.config, stage, number, device=self.device, data_hash=self.material.hash, before=self.keys[number - 1] if stage.start == "continue" else None,
            reference=reference.how if reference is not None else None,
        )  # fmt: skip
        state = self._state(number)
        began = key if state is None else state.get("key")
        # Begun with other threads, on another device: nobody who trains it from end to end under either may be handed this one.
        return key if began == key else files.sha256_json([began, key])[:32]

    def _state(self, number: int) -> dict[str, Any] | None:
        """What was saved of a stage that is not finished; none where nothing was."""
        path = self.folder / runs.RESUME
        state = checkpoint.load(path) if path.is_file() else None
        return state if state is not None and state["stage"] == number else None

    def _train(self, stage: Stage, number: int, target: Path, network: IdentityClassifier | None, reference: references.Reference | None) -> None:
        state = self._state(number)
        if network is None:
            network = self._first_weights(stage, number) if state is None else self._bare(stage)
        loader = self.material.loader(self.fabric.device, self.rank, self.world)
        if self.unscaled:  # fp16's factor of the loss begins anew with each stage, so that a stage is the same whatever was before
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
                    if trainer.told_to_end(self.termination):
                        raise Terminated
        except NonFiniteLoss as error:
            paths = ", ".join(self.material.split.paths[index] for index in error.indices)
            raise UserError(f"{error.message}, in the batch of: {paths}" if paths else error.message, way_out(self.config, self.folder, stage)) from None
        if self.rank == 0:
            if stage.keep == "best":
                (target / runs.BEST).replace(target / runs.MODEL)
            else:
                handed_on.write(target, trainer, lambda path, network: self._save_model(path, network, stage))

    def _save_model(self, path: Path, network: IdentityClassifier, stage: Stage) -> None:
        runs.save_model(path, network, stage.model, self.config.size, self.material.labels, self.config.data.crop)

    def _keep_if_best(self, target: Path, network: IdentityClassifier, stage: Stage, row: dict[str, Any]) -> None:
        """Writes the network down where no epoch before scored as high on the held-out part; the log says what they scored."""
        rows = [*runs.read_log(target), row]
        found = kept.chosen(rows)
        if found is not None and found[0] == len(rows) - 1:
            self._save_model(target / runs.BEST, network, stage)

    def _end_epoch(self, stage: Stage, number: int, target: Path, trainer: StageTrainer, row: dict[str, Any]) -> None:
        every = self.config.log.eval_every
        if self.score is not None and every and (row["epoch"] + 1) % every == 0:
            ranks.alike(trainer.handed_on.state_dict().values())
            row.update({f"val_{name}": value for name, value in self.score(trainer.handed_on, self.place).items()})
            trainer.network.train()
        if self.rank == 0:
            if stage.keep == "best":
                self._keep_if_best(target, trainer.handed_on, stage, row)
            log.append(target / runs.LOG, row)
        step = sum(earlier.epochs for earlier in self.plan[:number]) + row["epoch"]
        self.fabric.log_dict({name: value for name, value in row.items() if value is not None and name != "epoch"}, step=step)

    def _bare(self, stage: Stage) -> IdentityClassifier:
        """The network of a stage with any weights, to load others into."""
        return configured(stage.model, len(self.material.labels), self.config.size, weights="none")

    def _first_weights(self, stage: Stage, number: int) -> IdentityClassifier:
        """What a stage starts from: new weights drawn for this stage, a pretrained backbone under a new classifier, or the stage before."""
        if stage.start == "continue":
            before = runs.stage_folder(self.folder, number - 1, self.plan[number - 1].name) / runs.MODEL
            network = self._bare(stage)
            network.load_state_dict(runs.read_model(before).state)
            return network
        model = stage.model
        with forked(self.config.seed, "weights", number):
            try:
                network = configured(model, len(self.material.labels), self.config.size)
            except UserError as error:
                if model == self.config.model:
                    raise
                raise UserError(error.message, error.hint.replace("--model.", "--plan.teacher.")) from error
        if network.weights_report is not None:
            self.watch.says(str(network.weights_report))
        return network

    # --- soft targets ---------------------------------------------------------------------------------------------

    def _reference(self, stage: Stage, number: int) -> references.Reference | None:
        """The soft targets of a stage, from their file, which is made first where it is missing."""
        if stage.reference is None:
            return None
        wanted = stage.reference
        model, folder = imitated.network_and_folder(self.folder, self.plan, number, wanted)
        path = folder / runs.REFERENCE
        described = references.description(wanted.how, wanted.temperature, model.hash, self.config.seed, self.config.augment)
        if not self.fabric.broadcast(self.rank == 0 and path.is_file() and references.load(path).how == described):
            imitated.check_labels(wanted, model, self.material.labels, self.material.name)
            made = references.make(
                runs.network_of(model).to(self.fabric.device), self.material.clean_source(model), self.material.split, self.material.targets,
                how=wanted.how, temperature=wanted.temperature, size=model.size, place=self.place, seed=self.config.seed,
                described=described, augment=self.config.augment, track=self.watch.tracks("soft targets"),
            )  # fmt: skip
            if made is not None:
                if self.config.log.diagnostics:
                    self.watch.says(beliefs.note(made, self.material.targets, wanted.temperature, folder))
                references.save(made, path)
            self.fabric.barrier()
        together.await_files(self.place, path)
        # From the file, so that a resume sees the same numbers.
        found = references.load(path)
        found.check(self.material.hash, len(self.material.labels), path)
        return found
