"""The order of training images: global batches of indices, a pure function of (seed, stage, epoch)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..errors import UserError
from ..seeds import derive

MIN_BATCH = 8
"""A last batch of fewer images is left out of its epoch (in the next epoch it holds other images): BatchNorm needs more."""


class Sampler(Protocol):
    """The order of the images of every epoch. ``smallest`` is the number of images of its smallest batch."""

    @property
    def smallest(self) -> int: ...

    def __len__(self) -> int:
        """Batches an epoch."""
        ...

    def batches(self, stage: int, epoch: int) -> Iterator[np.ndarray]:
        """Indices of the images of each batch of an epoch."""
        ...


class RandomSampler:
    """All images in a random order, cut into batches; the last may be smaller.

    Args:
        count: number of training images N.
        batch: global batch size.
        seed: of the run.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed

    def __len__(self) -> int:
        """Batches an epoch."""
        full, rest = divmod(self.count, self.batch)
        return full + (rest >= MIN_BATCH or (full == 0 and rest > 0))

    @property
    def smallest(self) -> int:
        """Images of the smallest batch."""
        rest = self.count % self.batch
        return rest if rest >= MIN_BATCH or self.count < self.batch else self.batch

    def batches(self, stage: int, epoch: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(derive(self.seed, "order", stage, epoch))
        order = rng.permutation(self.count)
        for step in range(len(self)):
            yield order[step * self.batch : (step + 1) * self.batch]


class IdentitySampler:
    """P identities times K images a batch (Hermans et al. 2017).

    An identity with n images gives floor(n / K) groups of K different images per epoch; one with fewer than K images gives a group
    with repeats. No identity is twice in a batch.

    Args:
        targets: int64 ``(N,)``, identity of each training image.
        batch: global batch size, a multiple of ``instances``.
        instances: K.
        seed: of the run.

    Raises:
        UserError: fewer identities than a batch needs.
    """

    def __init__(self, targets: np.ndarray, batch: int, instances: int, seed: int) -> None:
        self.batch, self.instances, self.seed = batch, instances, seed
        self.people = batch // instances
        order = np.argsort(targets, kind="stable")
        _, starts = np.unique(targets[order], return_index=True)
        self.members = np.split(order, starts[1:])
        if len(self.members) < self.people:
            raise UserError(
                f"a batch of {batch} with {instances} images each needs {self.people} identities; there are {len(self.members)}",
                "Lower --data.batch or raise --data.instances.",
            )
        self.groups = np.array([max(1, len(member) // instances) for member in self.members])
        self.smallest = self.people * instances

    def __len__(self) -> int:
        """Batches an epoch: as many as can be filled with different identities."""
        # b batches are possible if and only if the identities, each used at most b times, fill them.
        low, high = 1, int(self.groups.sum()) // self.people
        while low < high:
            middle = (low + high + 1) // 2
            if np.minimum(self.groups, middle).sum() >= middle * self.people:
                low = middle
            else:
                high = middle - 1
        return low

    def batches(self, stage: int, epoch: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(derive(self.seed, "order", stage, epoch))
        pools = [self._groups_of(member, rng) for member in self.members]
        left = np.minimum(self.groups, len(self))
        batches = []
        for _ in range(len(self)):
            # The identities with most groups left go first, so that no group is left over at the end; ties are broken at random.
            chosen = np.lexsort((rng.random(len(left)), -left))[: self.people]
            left[chosen] -= 1
            batches.append(np.concatenate([pools[identity].pop() for identity in rng.permutation(chosen)]))
        for position in rng.permutation(len(batches)):
            yield batches[position]

    def _groups_of(self, member: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        shuffled = rng.permutation(member)
        if len(member) < self.instances:
            shuffled = np.concatenate([shuffled, rng.choice(member, self.instances - len(member))])
        usable = len(shuffled) // self.instances * self.instances
        return list(shuffled[:usable].reshape(-1, self.instances))


def build(name: str, targets: np.ndarray, *, batch: int, instances: int, seed: int) -> Sampler:
    """A sampler by name."""
    if name == "identity":
        return IdentitySampler(targets, batch, instances, seed)
    return RandomSampler(len(targets), batch, seed)
