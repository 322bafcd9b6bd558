"""The one training loop: carries out one stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ..data.loader import Batch, Loader
from ..errors import UserError
from ..models import IdentityClassifier
from ..seeds import derive
from .losses import stage_loss
from .plans import Stage
from .reference import Reference
from .termination import Terminated, Termination

if TYPE_CHECKING:
    from lightning_fabric import Fabric

GPU_CHECK_EVERY = 50
"""Steps between looks at the loss on a GPU; each look waits for all that was sent to it."""


class Watcher(Protocol):
    """Who looks on. All figures are means over the epoch so far."""

    def epoch_begins(self, stage: Stage, number: int, epoch: int, steps: int, done: int) -> None: ...

    def step_ends(self, images: int, loss: float | None) -> None: ...

    def epoch_ends(self, row: dict[str, Any]) -> None: ...


@dataclass
class Progress:
    """How far a stage is: the next epoch and step, and the sums over the epoch's images so far.

    ``sums`` is float64 ``(4,)``: loss, cross-entropy, imitation, right answers; ``images`` counts them; ``seconds`` is time spent.
    """

    epoch: int
    step: int
    sums: torch.Tensor
    images: int
    seconds: float

    @classmethod
    def start(cls, epoch: int = 0) -> Progress:
        return cls(epoch, 0, torch.zeros(4, dtype=torch.float64), 0, 0.0)


def optimiser_of(stage: Stage, network: torch.nn.Module) -> torch.optim.SGD:
    """SGD over all parameters."""
    given = stage.optimiser
    return torch.optim.SGD(
        [parameter for parameter in network.parameters() if parameter.requires_grad],
        lr=given.rate,
        momentum=given.momentum,
        nesterov=given.nesterov and given.momentum > 0,
        weight_decay=given.weight_decay,
        fused=True,
    )


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
        self.reference, self.seed = reference, seed
        self.progress = Progress.start()
        network.train().to(fabric.device, memory_format=torch.channels_last)
        self.optimiser = optimiser_of(stage, network)
        forward = torch.compile(network) if compiled else network
        self._model, self._optimiser = fabric.setup(forward, self.optimiser)
        self._look_every = GPU_CHECK_EVERY if fabric.device.type == "cuda" else 1

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
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(state["epoch"], state["step"], state["sums"], state["images"], state["seconds"])

    def epochs(
        self, watch: Watcher, *, save: Callable[[], None], save_every: float, termination: Termination | None = None
    ) -> Iterator[dict[str, Any]]:
        """Trains on from where the stage is, and yields a row of the log after each epoch.

        Args:
            watch: is told of every step.
            save: is called inside an epoch when the last call is ``save_every`` seconds ago; the caller saves between epochs.
            save_every: seconds.
            termination: where it is asked for, the step is ended and saved.

        Raises:
            Terminated: it was asked for.
        """
        termination = termination or Termination()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            while self.progress.epoch < self.stage.epochs:
                row = self._epoch(watch, save, save_every, termination)
                self.progress = Progress.start(self.progress.epoch + 1)
                watch.epoch_ends(row)
                yield row

    def _epoch(self, watch: Watcher, save: Callable[[], None], save_every: float, termination: Termination) -> dict[str, Any]:
        at = self.progress
        at.sums = at.sums.to(self.fabric.device)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.stage.rates[at.epoch]
        watch.epoch_begins(self.stage, self.number, at.epoch, len(self.loader), at.step)
        seen, began, saved = 0, time.perf_counter(), time.perf_counter()
        before = at.seconds
        with termination.deferred():
            for batch in self.loader.epoch(self.number, at.epoch, at.step):
                loss = self._step(batch)
                at.step, at.images, seen = batch.step + 1, at.images + len(batch.targets), seen + batch.total
                at.seconds = before + time.perf_counter() - began
                looks = batch.step % self._look_every == 0 or at.step == len(self.loader)
                watch.step_ends(batch.total, self._looked_at(loss, batch) if looks else None)
                # Of several processes the first says when: the others lose it in the step after.
                ends = termination.asked and self.loader.rank == 0
                if ends or (time.perf_counter() - saved > save_every and at.step < len(self.loader)):
                    save()
                    saved = time.perf_counter()
                if ends:
                    raise Terminated
        return self._row(seen / max(time.perf_counter() - began, 1e-9))

    def _step(self, batch: Batch) -> torch.Tensor:
        # Dropout and its like draw from the global state, which is set anew for each step so that a resume meets the same.
        torch.manual_seed(derive(self.seed, "noise", self.number, self.progress.epoch, batch.step, self.loader.rank))
        output = self._model(batch.images)
        reference = self.reference.rows(batch.indices) if self.reference is not None else None
        loss = stage_loss(output.logits, batch.targets, reference, self.stage.losses, self.progress.epoch)
        self._optimiser.zero_grad(set_to_none=True)
        # DDP averages the ranks' gradients; shares of a batch may differ by an image, and each image counts alike.
        weight = len(batch.targets) * self.loader.world / batch.total
        self.fabric.backward(loss.total * weight)
        self._optimiser.step()
        with torch.no_grad():
            right = (output.logits.argmax(dim=1) == batch.targets).double().mean()
            parts = torch.stack([part.detach().double() for part in (*loss, right)])
            self.progress.sums += parts * len(batch.targets)
        return loss.total.detach()

    def _looked_at(self, loss: torch.Tensor, batch: Batch) -> float:
        """The mean loss so far; stops training where it is not finite any more."""
        mean = float(self.progress.sums[0]) / max(self.progress.images, 1)
        if mean != mean or abs(mean) == float("inf"):
            raise NonFiniteLoss(self.progress.epoch, batch.step, batch.indices.tolist())
        return mean

    def _row(self, images_per_s: float) -> dict[str, Any]:
        at = self.progress
        sums = self.fabric.all_reduce(torch.cat([at.sums, at.sums.new_tensor([at.images])]), reduce_op="sum")
        loss, cross_entropy, imitation, accuracy = (sums[:4] / sums[4]).tolist()
        return {
            "epoch": at.epoch,
            "rate": self.stage.rates[at.epoch],
            "loss": loss,
            "cross_entropy": cross_entropy,
            "imitation": imitation if self.reference is not None else None,
            "accuracy": accuracy,
            "images_per_s": images_per_s,
            "seconds": at.seconds,
            "waited": self.loader.waited,
        }


class NonFiniteLoss(UserError):
    """The loss became infinite or no number.

    Attributes:
        indices: rows of the training split in the batch where it was noticed.
    """

    def __init__(self, epoch: int, step: int, indices: list[int]) -> None:
        super().__init__(f"the loss is not finite at epoch {epoch}, step {step}", "Lower --optimiser.rate.")
        self.indices = indices
