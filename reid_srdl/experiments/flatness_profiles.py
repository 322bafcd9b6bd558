"""What is found around minima: the loss of networks along the same directions, and how wide their minima are in two numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import files
from ..errors import UserError
from ..ranges import check_ranges, number
from .statistics import summary

RISE = 1.0
"""The rise of the mean loss, in nats, by which ``Profile.reach`` measures how far a minimum extends."""


@dataclass(frozen=True)
class Settings:
    """How the surroundings of a minimum are measured.

    Args:
        directions: random directions.
        points: distances along each, evenly from 0 to ``farthest``.
        farthest: the largest distance; null means 5 of length, as in the paper, or 1 of each filter's norm.
        scale: ``unit`` moves along directions of length 1 over all trained weights. ``filter`` gives each filter's part the norm of that
            filter and leaves biases and BatchNorm alone (Li et al. 2018, "Visualizing the Loss Landscape of Neural Nets", section 4):
            d is then a fraction, and larger weights before a BatchNorm, which change nothing, do not look flatter.
        statistics: BatchNorm's running statistics are those of training (``frozen``), or taken anew at each point from training
            images (``renewed``): weights that moved have other activations.
        images: of each split, drawn once, over which losses are averaged.
        batch: images at a time.
        renewal: whole batches of training images, without augmentation, that renewed statistics are averaged over.
        seed: of directions and images.

    Raises:
        UserError: a value that makes no curve.
    """

    directions: int = number(5, above=0)
    points: int = number(21, least=2)
    farthest: float | None = number(None, above=0)
    scale: Literal["unit", "filter"] = "unit"
    statistics: Literal["frozen", "renewed"] = "frozen"
    images: int = number(2000, above=0)
    batch: int = number(128, least=2)
    renewal: int = number(8, above=0)
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        for name, known in {"scale": ("unit", "filter"), "statistics": ("frozen", "renewed")}.items():
            if getattr(self, name) not in known:
                raise UserError(f"flatness knows no {name} {getattr(self, name)!r}", f"Choose {' or '.join(known)}.")

    @property
    def distances(self) -> np.ndarray:
        """float64 ``(P,)``, from 0."""
        return np.linspace(0, self.farthest or {"unit": 5.0, "filter": 1.0}[self.scale], self.points)


USUAL = Settings()
"""As in the paper."""


class Band(NamedTuple):
    """Over the directions, at each of P distances: mean, standard deviation (NaN for one direction), least, largest; each ``(P,)``."""

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray


def band(values: np.ndarray) -> Band:
    """The band of ``values`` ``(K, P)`` over K directions; what is not finite stays so."""
    with np.errstate(invalid="ignore"):
        columns = [summary(column) for column in values.T]
    return Band(np.array([one.mean for one in columns]), np.array([one.sd for one in columns]), values.min(axis=0), values.max(axis=0))


@dataclass(frozen=True, eq=False)
class Profile:
    """One network on one split, along K directions at P distances.

    Args:
        distances: float64 ``(P,)``, from 0.
        loss, accuracy: float64 ``(K, P)``. Far out a loss may be infinite or NaN, and is kept so.
    """

    distances: np.ndarray
    loss: np.ndarray
    accuracy: np.ndarray

    def rise(self, distance: float = 1.0) -> float:
        """By how much the mean loss at ``distance`` exceeds that of the weights themselves; NaN beyond the last distance."""
        mean = band(self.loss).mean
        return float(np.interp(distance, self.distances, mean, right=np.nan) - mean[0])

    def reach(self) -> float:
        """The distance at which the mean loss has first risen by ``RISE``, linearly between points; infinity where it never does.

        A rise and not a level, since a network with a higher loss would reach a level sooner without being any sharper.
        """
        risen = band(self.loss).mean
        risen = risen - risen[0]
        # NaN counts as risen, too.
        beyond = np.flatnonzero(~(risen < RISE))
        if len(beyond) == 0:
            return float("inf")
        last = int(beyond[0])
        if last == 0 or not np.isfinite(risen[last]):
            return float(self.distances[last])
        return float(np.interp(RISE, risen[last - 1 : last + 1], self.distances[last - 1 : last + 1]))


@dataclass(frozen=True, eq=False)
class Curves:
    """Several networks along the same directions.

    Args:
        settings: how they were measured.
        profiles: name of a network, then of a split (``train``, ``test``).
        images: name of a split to the images that its losses are the mean of.
    """

    settings: Settings
    profiles: Mapping[str, Mapping[str, Profile]]
    images: Mapping[str, int]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each network, split and distance: mean, standard deviation and range over the directions, and the value along each."""
        return [row for name, splits in self.profiles.items() for split, profile in splits.items() for row in self._rows(name, split, profile)]

    def _rows(self, name: str, split: str, profile: Profile) -> Iterable[dict[str, Any]]:
        how = {key: getattr(self.settings, key) for key in ("scale", "statistics", "seed")}
        columns: dict[str, np.ndarray] = {"distance": profile.distances}
        for what, values in {"loss": profile.loss, "accuracy": profile.accuracy}.items():
            over = band(values)
            columns |= {what: over.mean, f"{what}_sd": over.sd, f"{what}_min": over.low, f"{what}_max": over.high}
        for what, values in {"loss": profile.loss, "accuracy": profile.accuracy}.items():
            columns |= {f"{what}_{number + 1}": row for number, row in enumerate(values)}
        for point in range(len(profile.distances)):
            cells = {column: float(values[point]) for column, values in columns.items()}
            yield {"network": name, "split": split, **how, "images": self.images[split], **cells}

    def summary(self) -> list[dict[str, Any]]:
        """One row for each network and split: loss and accuracy at the minimum, and its width in two numbers.

        ``reach`` is the distance at which the mean loss has risen by 1 (nat): the larger, the flatter. ``rise`` is how far it has
        risen at distance 1.
        """
        return [
            {"network": name, "split": split, "loss": float(one.loss[0, 0]), "accuracy": float(one.accuracy[0, 0]), "reach": one.reach(), "rise": one.rise()}
            for name, splits in self.profiles.items()
            for split, one in splits.items()
        ]


def write_csv(curves: Curves, path: files.Pathlike) -> None:
    """``Curves.rows`` as CSV; what is not known is ``nan``."""
    rows = curves.rows()
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{value:.8g}" if isinstance(value, float) else value for key, value in row.items()} for row in rows)
    files.write_text(path, out.getvalue())
