"""What a stage imitates: the beliefs of an earlier stage of the run, or of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .. import runs
from ..config import Config
from ..devices import Place
from ..inference import Track
from . import beliefs, handed_on, together
from . import reference as references
from .material import Material
from .plans import Imitated, Plan
from .reference import Reference

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Hears(Protocol):
    """What is told of soft targets that are made, and of the progress."""

    def says(self, line: str) -> None: ...

    def tracks(self, title: str) -> Track: ...


def of_checkpoint(imitated: Imitated) -> runs.ModelFile:
    """The network of ``imitated.checkpoint``. Raises ``UserError`` where there is none."""
    return runs.read_model(runs.checkpoint_file(Path(imitated.checkpoint)))


def network_and_folder(run: Path, plan: Plan, number: int, imitated: Imitated) -> tuple[runs.ModelFile, Path]:
    """The network that is imitated, and the folder that its soft targets are kept in.

    Args:
        run: the run folder.
        plan: its stages.
        number: of the stage that imitates, from 0.
        imitated: what it imitates.
    """
    if imitated.checkpoint is not None:
        return of_checkpoint(imitated), runs.stage_folder(run, number, plan[number].name)
    index = next(i for i, stage in enumerate(plan) if stage.name == imitated.stage)
    folder = runs.stage_folder(run, index, plan[index].name)
    return runs.read_model(handed_on.weights_file(folder, imitated.how.weights)), folder


def check_checkpoints(plan: Plan, material: Material) -> None:
    """Raises ``UserError`` where a stage imitates a checkpoint that is not there, or knows other classes than are trained on."""
    for stage in plan:
        if stage.reference is not None and stage.reference.checkpoint is not None:
            _check_labels(stage.reference, of_checkpoint(stage.reference), material)


def soft_targets(
    run: Path, plan: Plan, number: int, *, config: Config, material: Material, fabric: Fabric, place: Place, watch: Hears
) -> Reference | None:
    """The soft targets of a stage, read from their file; None where it imitates nobody. The file is made first where there is none that fits.

    Args:
        run, plan, number: as in ``network_and_folder``.
        config: of the run.
        material: the training images, opened.
        fabric, place: of this process; all processes must call this.
        watch: is told what the soft targets are like, and how far they are.

    Raises:
        UserError: the network that is imitated knows other classes, or the file is of other images.
    """
    wanted = plan[number].reference
    if wanted is None:
        return None
    model, folder = network_and_folder(run, plan, number, wanted)
    path = folder / runs.REFERENCE
    described = references.description(wanted.how, wanted.temperature, model.hash, config.seed, config.augment)
    written = place.rank == 0 and path.is_file()
    if not fabric.broadcast(written and references.load(path).how == described):
        if written:
            watch.says(f"the soft targets in {path} are not of {wanted.checkpoint or wanted.stage} as it is now, and are made anew")
        _check_labels(wanted, model, material)
        made = references.make(
            runs.network_of(model).to(place.device), material.clean_source(model), material.split, material.targets,
            how=wanted.how, temperature=wanted.temperature, size=model.size, place=place, seed=config.seed,
            described=described, augment=config.augment, track=watch.tracks("soft targets"),
        )  # fmt: skip
        if made is not None:
            if config.log.diagnostics:
                watch.says(beliefs.note(made, material.targets, wanted.temperature, folder))
            references.save(made, path)
        fabric.barrier()
    together.await_files(place, path)
    # From the file, so that a resume sees the same numbers.
    found = references.load(path)
    found.check(material.hash, len(material.labels), path)
    return found


def _check_labels(imitated: Imitated, model: runs.ModelFile, material: Material) -> None:
    runs.check_same_classes(
        f"the reference {imitated.checkpoint or imitated.stage}", (model.labels, model.names), material.name, (material.labels, material.class_names),
        "It must have been trained on the same label set.",
    )  # fmt: skip
