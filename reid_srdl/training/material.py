"""What a run trains on: the readable images of its training split, numbered labels, and batches of them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch

from .. import runs
from ..config import Config, DataConfig
from ..data import parts_of
from ..data.augment import Augment
from ..data.images import ImageSource, MemoryImages, open_source, unreadable
from ..data.loader import Loader
from ..data.records import ClassData, ReIDData, Split, numbered_from_zero
from ..data.samplers import Sampler
from ..data.samplers import build as build_sampler
from ..errors import UserError
from ..inference import Track
from ..models import IdentityClassifier
from ..seeds import states_restored
from ..shell import command


class Material:
    """The training split of a run.

    Args:
        config: of the run; mostly its options on data, size, augmentation and seed are used.
        data: only its ``train`` split is looked at.
        device: where images in memory may lie.
        says, tracks: are told which images are left out and how many there are, and how far reading has come.

    Attributes:
        name: of the data set.
        kind: what its labels are, ``identities`` or ``classes``.
        split: N images, without junk.
        targets: int64 ``(N,)`` in 0..C-1.
        labels: the data set's own label of each target, ``(C,)``.
        class_names: the name of each of those; None for people.
        hash: of the list of images.
        source: the images, once they are opened.

    Raises:
        UserError: there are no images, only one identity, a class without a readable image, or a split that is not limited as the configuration says.
    """

    def __init__(self, config: Config, data: ReIDData | ClassData, device: torch.device, *, says: Callable[[str], None], tracks: Callable[[str], Track]) -> None:
        self._config, self._device, self._says, self._tracks = config, device, says, tracks
        _check_limits(config.data, data)
        self.name = data.name
        self.kind = "classes" if isinstance(data, ClassData) else "identities"
        self.split = self._readable(data.train)
        if isinstance(data, ClassData):
            _check_classes(data, self.split)
        self.targets, self.labels = numbered_from_zero(self.split)
        if len(self.labels) < 2:
            raise UserError(f"the training split of {data.name} holds {len(self.labels)} identity", "A classifier needs two at least.")
        self.class_names = data.names_of(self.labels) if isinstance(data, ClassData) else None
        self.hash = self.split.hash()

    def _readable(self, split: Split) -> Split:
        if len(split) == 0:
            raise UserError("the training split is empty", f"Check the data set: {command('data', 'check', self.name)}")
        return readable(split, self._config.data, self._says)

    def open(self) -> None:
        """Opens the images as training sees them, before any batch is asked for."""
        self.source = self._opened(self._config.size, self._config.data.crop, self._config.seed)
        where = "in memory" if isinstance(self.source, MemoryImages) else "streamed from disk"
        self._says(f"{len(self.split):,} training images of {len(self.labels):,} {self.kind}, {where} at {self.source.size[0]}x{self.source.size[1]}")

    def clean_source(self, model: runs.ModelFile) -> ImageSource:
        """The images as an imitated network sees them: the source of training, unless its images are random crops or have another size."""
        if model.crop == self._config.data.crop == "none" and model.size == self._config.size:
            return self.source
        return self._opened(model.size, model.crop)

    def _opened(self, size: tuple[int, int], crop: str, seed: int | None = None) -> ImageSource:
        data = self._config.data
        return open_source(
            self.split.files, size, memory_gb=data.memory_gb, workers=data.workers, device=self._device, track=self._tracks("reading images"), crop=crop, seed=seed
        )

    def sampler(self) -> Sampler:
        """The sampler that orders the images. Raises ``UserError`` where the one that is asked for does not fit them."""
        data = self._config.data
        return build_sampler(data.sampler, self.targets, batch=data.batch, instances=data.instances, seed=self._config.seed)

    def check_shares(self, world: int) -> None:
        """Raises ``UserError`` where ``world`` processes cannot share a batch as a step needs it, or a share is too small for BatchNorm."""
        smallest = self.sampler().smallest
        if world > 1 and smallest < 2 * world:
            raise UserError(
                f"{world} processes cannot share the smallest batch of an epoch, {smallest} images: each needs two, for BatchNorm",
                "Choose another --data.batch, or fewer processes.",
            )
        data, parts = self._config.data, self._config.optimiser.accumulate
        if self._config.metric.pairs and world > 1 < parts and data.batch % (whole := world * parts * data.instances):
            raise UserError(
                f"metric.name {self._config.metric.name} compares people of {data.instances} images, and {world} processes would cut people apart in the {parts} parts of a batch of {data.batch}",
                f"Set --data.batch to a multiple of {whole} (processes times accumulate times instances).",
            )

    def check_alone(self, network: IdentityClassifier) -> None:
        """Raises ``UserError`` where a step has a single image, and a BatchNorm of the network wants two: it has statistics over the places of a map, but over one place none."""
        if self.sampler().smallest > 1:
            return
        trial = copy.deepcopy(network).train()
        try:
            with torch.no_grad(), states_restored():
                trial(torch.zeros(1, 3, *self._config.size, device=next(trial.parameters()).device))
        except ValueError:
            hint = "Choose a larger --data.batch" + (", or --model.neck none." if self._config.model.neck == "bnneck" else ", or larger images.")
            raise UserError(f"data.batch is {self._config.data.batch}, and a BatchNorm of the network needs two images in a step", hint) from None

    def loader(self, device: torch.device, rank: int = 0, world: int = 1) -> Loader:
        """Batches of an epoch, or a rank's share of them."""
        augment = Augment(self._config.augment, self._config.size)
        return Loader(self.source, self.targets, self.sampler(), augment, seed=self._config.seed, device=device, rank=rank, world=world)


def readable(split: Split, asked: DataConfig, says: Callable[[str], None] = lambda line: None) -> Split:
    """The images of a training split that a run trains on: without junk and, with ``skip_corrupt``, without those that cannot be read."""
    split = split.without_junk()
    if not asked.skip_corrupt:
        return split
    bad = unreadable(split.files, workers=asked.workers)
    for file, why in bad.items():
        says(f"left out: {file} ({why})")
    return split.take(np.array([file not in bad for file in split.files]))


def _check_classes(data: ClassData, readable: Split) -> None:
    """Raises ``UserError`` for a class without a readable image, since test images may be of it. Identities need no such check: without one, they are only fewer."""
    for label in np.setdiff1d(data.train.labels, readable.labels).tolist():
        name = data.class_names[label] if label < len(data.class_names) else label
        raise UserError(
            f"the class {name} of {data.name} has no training image left that can be read", "Restore one of those that are left out (data.skip_corrupt), or remove the class."
        )


def _check_limits(asked: DataConfig, data: ReIDData | ClassData) -> None:
    """Raises ``UserError`` unless the data is limited as the configuration says, which is relied on later: nobody who is held out may have been trained on."""
    for part in parts_of(data) if isinstance(data, ReIDData) else [data]:
        if isinstance(part, ReIDData):
            limit, held, said, count, validation = asked.train_identities, asked.holdout_identities, "identities", len(part.train.identities), part.val_query
        else:
            limit, held, said, validation = asked.train_per_class, asked.holdout_per_class, "per_class", part.val
            count = int(np.bincount(part.train.labels).max(initial=0))
        if (limit is not None and count != limit) or (held and validation is None):
            raise UserError(
                f"the configuration limits {part.name} by data.train_{said} {limit} and data.holdout_{said} {held}, and the data set is not limited so",
                "Limit it first: reid_srdl.data.records.limit_identities(data, train=..., holdout=...), or limit_images for classes.",
            )
