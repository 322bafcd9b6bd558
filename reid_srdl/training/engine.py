"""The one training loop: carries out one stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import torch

from .. import heap, ranks
from ..data.loader import Batch, Loader
from ..errors import UserError
from ..models import IdentityClassifier, Output
from ..seeds import derive, states_restored
from . import compiling, metric_losses, optimisers
from .averaging import Average
from .freezing import Freezer
from .gathering import gathered
from .losses import stage_loss
from .parts import Part, in_parts
from .plans import Stage
from .progress import Progress
from .reference import Reference
from .termination import Terminated, Termination

if TYPE_CHECKING:
    from lightning_fabric import Fabric

GPU_CHECK_EVERY = 50
"""Steps between two checks of the loss on a GPU; each check waits for all work that is queued there."""


class Watcher(Protocol):
    """What is told of the progress of a stage. All figures are means over the epoch so far."""

    def epoch_begins(self, stage: Stage, number: int, epoch: int, steps: int, done: int) -> None: ...

    def step_ends(self, images: int, loss: float | None) -> None: ...

    def epoch_ends(self, row: dict[str, Any]) -> None: ...


class StageTrainer:
    """Trains a network through a stage.

    Args:
        stage: what to do.
        number: of the stage in its plan, from 0.
        network: is trained in place.
        loader: batches.
        fabric: device, precision, processes.
        reference: soft targets, on the device; none for a stage without.
        seed: of the run.
        compiled: compile the forward pass.

    Attributes:
        network: as the last step left it.
        average: its average over the steps; none where none is kept.
    """

    def __init__(
        self,
        stage: Stage,
        number: int,
        network: IdentityClassifier,
        loader: Loader,
        fabric: Fabric,
        *,
        reference: Reference | None,
        seed: int,
        compiled: bool = False,
    ) -> None:
        self.stage, self.number, self.network, self.loader, self.fabric = stage, number, network, loader, fabric
        self.reference, self.seed, self._compiled = reference, seed, compiled
        network.train().to(fabric.device, memory_format=torch.channels_last)
        self._metric = metric_losses.build(stage.metric, network)
        self.average = Average(network, stage.ema.decay) if stage.ema.decay else None
        self.progress = self._start()
        self._grouped = optimisers.build(stage.optimiser, network, scaled=bool(fabric.strategy.precision.state_dict()))
        self.optimiser = self._grouped.optimiser
        self._freezer, self._frozen = Freezer(network), None
        self._ends = ranks.Request("end")
        self._look_every = GPU_CHECK_EVERY if fabric.device.type == "cuda" else 1

    @property
    def handed_on(self) -> IdentityClassifier:
        """The network that later stages and users get: the average where it is used, else the one that is trained."""
        return self.average.network if self.average is not None and self.stage.ema.use else self.network

    def _start(self, epoch: int = 0) -> Progress:
        return Progress.start(4 if self._metric is None else 5, epoch)

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs to go on as if nothing had happened."""
        at = self.progress
        return {
            "stage": self.number,
            "epoch": at.epoch,
            "step": at.step,
            "sums": at.sums.cpu(),
            "images": at.images,
            "seconds": at.seconds,
            "waited": at.waited,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            **({"average": self.average.state_dict()} if self.average is not None else {}),
            **({"scaling": scaling} if (scaling := self.fabric.strategy.precision.state_dict()) else {}),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if "scaling" in state:
            self.fabric.strategy.precision.load_state_dict(state["scaling"])
        self.progress = Progress(state["epoch"], state["step"], state["sums"], state["images"], state["seconds"], state["waited"])

    def epochs(
        self, watch: Watcher, *, save: Callable[[], None], save_every: float, termination: Termination | None = None
    ) -> Iterator[dict[str, Any]]:
        """Trains on from where the stage is, and yields a row of the log after each epoch.

        Args:
            watch: is told of every step.
            save: is called inside an epoch whenever ``save_every`` seconds have passed since the last call; the caller saves between epochs.
            save_every: seconds.
            termination: deferred by the caller; once SIGTERM has come, the running step is finished and the state saved.

        Raises:
            Terminated: SIGTERM has come, to this or another process.
        """
        termination = termination or Termination()
        with states_restored():
            while self.progress.epoch < self.stage.epochs:
                row = self._epoch(watch, save, save_every, termination)
                self.progress = self._start(self.progress.epoch + 1)
                watch.epoch_ends(row)
                yield row

    @heap.reused()
    def _epoch(self, watch: Watcher, save: Callable[[], None], save_every: float, termination: Termination) -> dict[str, Any]:
        at = self.progress
        at.sums = at.sums.to(self.fabric.device)
        self._set_up(frozen=at.epoch < self.stage.optimiser.frozen_epochs)
        self._grouped.set_rate(self.stage.rates[at.epoch])
        watch.epoch_begins(self.stage, self.number, at.epoch, len(self.loader), at.step)
        began = saved = time.perf_counter()
        before, waited = at.seconds, at.waited
        for batch in self.loader.epoch(self.number, at.epoch, at.step):
            self._step(batch)
            at.step = batch.step + 1
            last = at.step == len(self.loader)
            looks = batch.step % self._look_every == 0 or last
            mean = self._looked_at(batch) if looks else None
            at.seconds, at.waited = before + time.perf_counter() - began, waited + self.loader.waited
            watch.step_ends(batch.total, mean)
            ends = self.told_to_end(termination)
            saves = ends or (time.perf_counter() - saved > save_every and not last)
            # What is not finite must neither replace the last good state nor be handed on.
            if saves and not looks:
                self._looked_at(batch)
            if saves or last:
                self._check_weights(batch)
            if saves:
                save()
                saved = time.perf_counter()
            if ends:
                raise Terminated
        return self._row()

    def told_to_end(self, termination: Termination) -> bool:
        """Whether this process has to save and end. Of several only the first does, whichever of them got the signal; the others end when they lose it."""
        if termination.asked:
            self._ends.make()
        return self.loader.rank == 0 and self._ends.made()

    def _set_up(self, frozen: bool) -> None:
        """Gets ready for an epoch. DDP waits for the gradients of all that was trained when it was set up, so it is set up anew when the backbone freezes or thaws."""
        self._freezer.train(frozen)
        if frozen is not self._frozen:
            parts = self.stage.optimiser.accumulate
            forward = compiling.compiled(self.network, self.fabric.device, parts=parts, world=self.loader.world) if self._compiled else self.network
            self._model, self._optimiser = self.fabric.setup(forward, self.optimiser)
            self._frozen = frozen

    def _step(self, batch: Batch) -> None:
        # Dropout and the like draw from the global random state, which is seeded anew for each step, so that a resumed run draws the same.
        torch.manual_seed(derive(self.seed, "noise", self.number, self.progress.epoch, batch.step, self.loader.rank))
        self._optimiser.zero_grad(set_to_none=True)
        sums = torch.zeros_like(self.progress.sums)
        for part in in_parts(batch, self.stage.optimiser.accumulate, self.loader.world):
            with self.fabric.no_backward_sync(self._model, enabled=not part.last):
                sums += self._backward(part)
        self.progress.add(sums, batch.total)
        if self.stage.optimiser.clip is not None:
            self.fabric.clip_gradients(self._model, self._optimiser, max_norm=self.stage.optimiser.clip, error_if_nonfinite=False)
        scaler = getattr(self.fabric.strategy.precision, "scaler", None) if self.average is not None else None
        scale = scaler.get_scale() if scaler is not None else 0.0
        self._optimiser.step()
        # In fp16 a step whose gradients are not finite is skipped, and the scale is lowered.
        if self.average is not None and not (scaler is not None and scaler.get_scale() < scale):
            self.average.update(self.network)

    def _backward(self, part: Part) -> torch.Tensor:
        """Adds the gradient of a part of the batch; returns its figures (as in ``Progress.sums``), summed over its images."""
        batch = part.batch
        output = self._model(batch.images)
        reference = self.reference.rows(batch.indices) if self.reference is not None else None
        loss = stage_loss(output.logits, batch.targets, reference, self.stage.losses, self.progress.epoch)
        # DDP averages the gradients of ranks whose shares of a batch may differ by an image; the weight makes all images count the same.
        weight = len(batch.targets) * self.loader.world / batch.total
        minimised, figures = loss.total * weight, list(loss)
        metric = self._metric_term(output, part)
        if metric is not None:
            term = self.stage.metric.weight * metric
            # A loss over pairs has the same value on every rank, over all images of the part; a rank's gradient is only that of its own images.
            minimised = minimised + term * (sum(part.counts) * self.loader.world / batch.total if self.stage.metric.pairs else weight)
            figures[0] = loss.total + term
        self.fabric.backward(minimised)
        with torch.no_grad():
            right = (output.logits.argmax(dim=1) == batch.targets).double().mean()
            figures += [right] if metric is None else [right, metric]
            return torch.stack([figure.detach().double() for figure in figures]) * len(batch.targets)

    def _metric_term(self, output: Output, part: Part) -> torch.Tensor | None:
        if self._metric is None:
            return None
        targets = part.batch.targets
        if self.stage.metric.pairs:
            output = output._replace(features=gathered(output.features, part.counts, self.loader.rank))
            targets = gathered(targets, part.counts, self.loader.rank)
        return self._metric(output, targets)

    def _looked_at(self, batch: Batch) -> float:
        """The mean loss of the epoch so far. Raises ``NonFiniteLoss`` where it is not finite."""
        mean = self.progress.means()[0]
        if mean != mean or abs(mean) == float("inf"):
            raise NonFiniteLoss(self.progress.epoch, batch.step, batch.indices.tolist(), self._look_every)
        return mean

    def _check_weights(self, batch: Batch) -> None:
        """Raises ``NonFiniteLoss`` where the last step has left weights that are not finite; a loss would show it only in the next step."""
        if not all(value.isfinite().all() for value in self.network.parameters()):
            raise NonFiniteLoss(self.progress.epoch, batch.step, batch.indices.tolist(), 1, "weights are")

    def _row(self) -> dict[str, Any]:
        at = self.progress
        loss, cross_entropy, imitation, accuracy, *metric = at.means()
        return {
            "epoch": at.epoch,
            "rate": self.stage.rates[at.epoch],
            "loss": loss,
            "cross_entropy": cross_entropy,
            "imitation": imitation if self.reference is not None else None,
            **({"metric": metric[0]} if metric else {}),
            "accuracy": accuracy,
            "images_per_s": at.images / max(at.seconds, 1e-9),
            "seconds": at.seconds,
            "waited": at.waited,
        }


class NonFiniteLoss(UserError):
    """The loss or a weight became infinite or NaN.

    Attributes:
        indices: rows of the training split in the batch where it was noticed; empty where only one of ``every`` steps is checked.
    """

    def __init__(self, epoch: int, step: int, indices: list[int], every: int, what: str = "loss is") -> None:
        at = f"step {step}" if every == 1 else f"step {step} or one of the {every - 1} before"
        super().__init__(f"the {what} not finite at epoch {epoch}, {at}", "Lower --optimiser.rate.")
        self.indices = indices if every == 1 else []
