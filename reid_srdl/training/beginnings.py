"""What the stages of a run start from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import runs
from ..config import Config, ModelConfig, TeacherConfig
from ..errors import UserError
from ..models import IdentityClassifier, configured
from ..seeds import forked, states_restored
from .plans import Plan


class Beginnings:
    """Networks for the stages of a plan, before any step.

    Args:
        config: of the run; its size, seed and network are used.
        folder: of the run, where earlier stages lie.
        plan: its stages.
        labels: C, which the networks tell apart.
        says: is told what was loaded from a file of weights.
    """

    def __init__(self, config: Config, folder: Path, plan: Plan, labels: int, *, says: Callable[[str], None]) -> None:
        self._config, self._folder, self._plan, self._labels, self._says = config, folder, plan, labels, says

    def bare(self, number: int) -> IdentityClassifier:
        """The network of a stage with arbitrary weights, to load others into."""
        return configured(self._plan[number].model, self._labels, self._config.size, weights="none")

    def others(self) -> Iterator[IdentityClassifier]:
        """Each network of the plan whose structure differs from those of all earlier stages, with arbitrary weights."""
        built = [dataclasses.replace(stage.model, weights="none") for stage in self._plan]
        for number in range(1, len(built)):
            if built[number] not in built[:number]:
                with states_restored():
                    network = self.bare(number)
                yield network

    def weights(self, number: int) -> IdentityClassifier:
        """The network that a stage starts from: new weights drawn for this stage, a pretrained backbone under a new classifier, or the stage before.

        Raises:
            UserError: the network is not known, or its weights cannot be loaded.
        """
        if self._plan[number].start == "continue":
            before = runs.stage_folder(self._folder, number - 1, self._plan[number - 1].name) / runs.MODEL
            network = self.bare(number)
            network.load_state_dict(runs.read_model(before).state)
            return network
        network = self._drawn(number)
        if network.weights_report is not None:
            self._says(str(network.weights_report))
        return network

    def check_later(self) -> None:
        """Raises ``UserError``, before the first stage is trained for hours, where the network of a later stage or its weights cannot be loaded."""
        models = [stage.model for stage in self._plan]
        for number, stage in enumerate(self._plan):
            if stage.start != "continue" and stage.model not in models[:number]:
                self._drawn(number)

    def _drawn(self, number: int) -> IdentityClassifier:
        stage = self._plan[number]
        with forked(self._config.seed, "weights", number):
            try:
                return configured(stage.model, self._labels, self._config.size)
            except UserError as error:
                if stage.model == self._config.model:
                    raise
                raise UserError(error.message, _of_the_teacher(error.hint)) from error


def _of_the_teacher(hint: str) -> str:
    """A hint about options of the student's network, with the teacher's options in their place; the teacher has only some of them of its own."""
    own, fields = ([field.name for field in dataclasses.fields(kind)] for kind in (TeacherConfig, ModelConfig))
    hint = re.sub(rf"--model\.({'|'.join(own)})\b", r"--plan.teacher.\1", hint)
    if "--model." not in hint:
        return hint
    shared = [f"--model.{name}" for name in fields if name not in own]
    return f"{hint} The teacher shares {', '.join(shared[:-1])} and {shared[-1]} with the student."
