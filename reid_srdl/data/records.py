"""What a data set is to the rest of the package: columns with one row per image."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError

JUNK = -1
"""Label of junk images: neither right nor wrong for any query, and never embedded."""
DISTRACTOR = 0
"""Label of distractors, in data sets that mark them: a wrong answer for every query."""


@dataclass(frozen=True, eq=False)
class Split:
    """One split of a data set.

    Args:
        name: ``train``, ``query``, …
        root: folder that ``paths`` are relative to.
        paths: N paths with forward slashes, in ascending order.
        labels: identities or classes as the data set numbers them, int64 ``(N,)``.
        cameras: int64 ``(N,)``; all 0 where the data knows of one camera only.
        label_names: the data set's words for its identities, where it has such; the first is that of label 1.
    """

    name: str
    root: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    cameras: np.ndarray
    label_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        labels = np.ascontiguousarray(self.labels, dtype=np.int64)
        cameras = np.ascontiguousarray(self.cameras, dtype=np.int64)
        object.__setattr__(self, "root", Path(self.root))
        object.__setattr__(self, "paths", tuple(self.paths))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "cameras", cameras)
        if not labels.shape == cameras.shape == (len(self.paths),):
            raise ValueError(
                f"split {self.name}: {len(self.paths)} paths, labels {labels.shape}, cameras {cameras.shape}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def files(self) -> list[Path]:
        """The N absolute paths."""
        return [self.root / path for path in self.paths]

    @property
    def identities(self) -> np.ndarray:
        """The distinct labels in ascending order, junk and distractors left out."""
        labels = np.unique(self.labels)
        return labels[labels > DISTRACTOR]

    def take(self, rows: np.ndarray, name: str | None = None) -> Split:
        """The given rows (indices or a mask), in their order."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return dataclasses.replace(
            self,
            name=name or self.name,
            paths=tuple(self.paths[row] for row in rows),
            labels=self.labels[rows],
            cameras=self.cameras[rows],
        )

    def without_junk(self) -> Split:
        """The rows that are embedded."""
        return self.take(self.labels != JUNK)

    def hash(self) -> str:
        """SHA-256 of the list: relative path, label and size in bytes of every image, in order."""
        digest = hashlib.sha256()
        for path, label, file in zip(self.paths, self.labels, self.files, strict=True):
            try:
                size = file.stat().st_size
            except OSError as error:
                raise UserError(f"cannot read {file}: {error.strerror}", "Restore the image, or drop it from the data set.") from None
            # A name that is not valid UTF-8 counts by its bytes in the file system.
            digest.update(f"{path}\t{label}\t{size}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def numbered_from_zero(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Training targets: ``(targets int64 (N,) in 0..C-1, labels int64 (C,))`` with ``labels[targets] == split.labels``."""
    labels, targets = np.unique(split.labels, return_inverse=True)
    return targets.astype(np.int64), labels


@dataclass(frozen=True, eq=False)
class ReIDData:
    """A person re-identification set. ``multi_query`` holds more images of the query people; those of one person and camera make a multi-query.

    ``val_query`` and ``val_gallery`` show training people held out by ``limit_identities``; None where nobody is held out.
    """

    name: str
    train: Split
    query: Split
    gallery: Split
    multi_query: Split | None = None
    val_query: Split | None = None
    val_gallery: Split | None = None


@dataclass(frozen=True, eq=False)
class ClassData:
    """A classification set. Labels count from 0 and are the same in all splits; ``class_names[label]`` is the word for one."""

    name: str
    train: Split
    val: Split | None
    test: Split
    class_names: tuple[str, ...]

    def names_of(self, labels: np.ndarray) -> tuple[str, ...] | None:
        """The words for ``labels``, which are in ascending order; None where one of them has no word."""
        return tuple(self.class_names[label] for label in labels.tolist()) if labels[-1] < len(self.class_names) else None


def limit_identities(data: ReIDData, *, train: int | None, holdout: int) -> ReIDData:
    """Keeps the first ``train`` training identities, and holds the last ``holdout`` out as a validation set.

    The held-out people are never trained on. ``val_query`` is the first image of each held-out person and camera,
    ``val_gallery`` all others.

    Raises:
        UserError: more identities asked for than there are.
    """
    if train is None and not holdout:
        return data
    identities = data.train.identities
    kept = len(identities) - holdout if train is None else train
    if kept < 1 or kept + holdout > len(identities):
        raise UserError(
            f"{data.name} has {len(identities)} training identities; {max(kept, 1)} to train and {holdout} to hold out do not fit",
            "Lower --data.train_identities or --data.holdout_identities.",
        )
    training = data.train.take(np.isin(data.train.labels, identities[:kept]))
    if not holdout:
        return dataclasses.replace(data, train=training)
    held = data.train.take(np.isin(data.train.labels, identities[-holdout:]))
    _, first = np.unique(np.stack([held.labels, held.cameras]), axis=1, return_index=True)
    is_query = np.zeros(len(held), dtype=bool)
    is_query[first] = True
    return dataclasses.replace(
        data,
        train=training,
        val_query=held.take(is_query, "val_query"),
        val_gallery=held.take(~is_query, "val_gallery"),
    )


def limit_images(data: ClassData, *, per_class: int | None, holdout_per_class: int) -> ClassData:
    """Keeps the first ``per_class`` training images of each class (None: all) and holds out the next ``holdout_per_class`` (None: the last) as a validation set.

    Their order is that of the paths. The held-out images are never trained on; as ``val`` they replace the data set's own, where it has one.

    Raises:
        UserError: a class has fewer images than asked for.
    """
    if per_class is None and not holdout_per_class:
        return data
    train = data.train
    kept, held = np.zeros(len(train), dtype=bool), np.zeros(len(train), dtype=bool)
    for label, name in enumerate(data.class_names):
        rows = np.flatnonzero(train.labels == label)
        first = len(rows) - holdout_per_class if per_class is None else per_class
        if first < 1 or first + holdout_per_class > len(rows):
            raise UserError(
                f"the class {name} of {data.name} has {len(rows):,} training images; {max(first, 1):,} to train and {holdout_per_class:,} to hold out do not fit",
                "Lower --data.train_per_class or --data.holdout_per_class.",
            )
        kept[rows[:first]] = True
        held[rows[first : first + holdout_per_class]] = True
    return dataclasses.replace(data, train=train.take(kept), val=train.take(held, "val") if holdout_per_class else data.val)
