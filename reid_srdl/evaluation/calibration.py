"""From the distance of two images to the probability that they show the same identity.

The probability is given at a stated prior: the share of genuine pairs among those that are asked about. At another prior the same distance
means another probability, so the fit is made at even odds (a prior of 1/2) and moved to the prior by Bayes' rule.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import files
from ..errors import UserError
from ..models.exported import input_words
from ..runs import CALIBRATION
from ..shell import command
from .tiles import Metric
from .verification import Pairs

if TYPE_CHECKING:
    from ..runs import Trained

Method = Literal["auto", "platt", "isotonic"]
_FORMAT = 1
_KNOTS = 512
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """A map from distances between one network's embeddings to probabilities.

    Args:
        model: hash of the network's weights.
        metric: ``euclidean`` (squared distances, as in faiss) or ``cosine`` (1 - cosine).
        flip: whether embeddings are averaged with those of the mirrored images.
        distances: ascending, ``(K,)``.
        log_odds: of being genuine, at a prior of 1/2: ``(K,)``, never ascending; linear between ``distances``, constant beyond.
        prior: share of genuine pairs for which probabilities are given.
        facts: how it was fitted and how well it tells pairs apart, for the report.
    """

    model: str
    metric: Metric
    flip: bool
    distances: np.ndarray
    log_odds: np.ndarray
    prior: float
    facts: dict[str, Any]

    def distance(self, one: np.ndarray, other: np.ndarray) -> float:
        """The distance of two embeddings ``(D,)``, by ``metric``."""
        one, other = one.astype(np.float64), other.astype(np.float64)
        if self.metric == "cosine":
            return 1 - float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30))
        return float(((one - other) ** 2).sum())

    def probability(self, distances: np.ndarray, prior: float | None = None) -> np.ndarray:
        """The probability that pairs show the same identity: float64, of the shape of ``distances``.

        Args:
            distances: by ``metric``.
            prior: in place of the calibration's own.
        """
        odds = np.interp(np.asarray(distances, dtype=np.float64), self.distances, self.log_odds) + _log_odds(self.prior if prior is None else prior)
        return 1 / (1 + np.exp(-odds))

    def threshold(self, probability: float = 0.5, prior: float | None = None) -> float:
        """The largest distance at which the probability is at least ``probability``; infinite where it is so at every distance, minus infinity where at none."""
        wanted = _log_odds(probability) - _log_odds(self.prior if prior is None else prior)
        enough = np.flatnonzero(self.log_odds >= wanted)
        if not len(enough):
            return -math.inf
        last = int(enough[-1])
        if last + 1 == len(self.distances):
            return math.inf
        return float(np.interp(-wanted, -self.log_odds[last : last + 2], self.distances[last : last + 2]))

    def most(self, prior: float | None = None) -> float:
        """The highest probability that any distance has."""
        return float(self.probability(self.distances[:1], prior)[0])

    @property
    def tells_nothing(self) -> bool:
        """Whether genuine pairs may be no nearer than impostor pairs: the curve is flat, or the interval of the EER reaches 50%."""
        return bool(self.log_odds[0] == self.log_odds[-1] or self.facts.get("eer_high", 0) >= 0.5)

    def save(self, path: files.Pathlike) -> None:
        """As JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values |= {"distances": self.distances.tolist(), "log_odds": self.log_odds.tolist(), "format": _FORMAT}
        files.write_json(path, values, flag="")

    @staticmethod
    def load(path: files.Pathlike) -> Calibration:
        """Reads what ``save`` wrote. Raises ``UserError`` where the file is missing, damaged or no calibration."""
        values = files.read_json(path)
        hint = "Make it anew with the command calibrate."
        if not isinstance(values, dict) or values.pop("format", None) != _FORMAT:
            raise UserError(f"{path} is no calibration that this version knows", hint)
        try:
            columns = {name: np.array(values[name], dtype=np.float64) for name in ("distances", "log_odds")}
            if columns["distances"].ndim != 1 or columns["distances"].shape != columns["log_odds"].shape:
                raise ValueError("distances and log_odds are not of one length")
            return Calibration(**values | columns)
        except (TypeError, KeyError, ValueError) as error:
            raise UserError(f"{path} is a damaged calibration ({error})", hint) from None


NOTHING = "This calibration tells nothing apart: by it genuine pairs may be no nearer than impostors are. Train the network longer, or calibrate on more people."


def of_run(folder: Path) -> Calibration | None:
    """The calibration of a run folder; None where there is none."""
    return _in(Path(folder) / CALIBRATION)


def of_network(trained: Trained) -> Calibration | None:
    """The calibration that is kept with a network, or None; ``fits`` tells whether it is of this very network."""
    return None if trained.calibration_file is None else _in(trained.calibration_file)


def fits(calibration: Calibration, trained: Trained) -> bool:
    """Whether the calibration was fitted on embeddings of this network, or of the one that this is a full-precision export of."""
    return calibration.model in trained.same_as


class NotCalibrated(UserError):
    """There is no calibration of the network."""


def required(trained: Trained, checkpoint: object) -> Calibration:
    """The calibration of a network, which messages call ``checkpoint``. Raises ``NotCalibrated``, or another ``UserError`` where the file is damaged."""
    found = of_network(trained)
    if found is None or not fits(found, trained):
        state = "has no calibration" if found is None else "has a calibration of another network"
        raise NotCalibrated(f"{checkpoint} {state}", f"Make one: {making(trained, checkpoint)}")
    return found


def making(trained: Trained, checkpoint: object) -> str:
    """The command that calibrates the network ``checkpoint``; where no run tells its data set, NAME is left for the user to fill in."""
    return command("calibrate", checkpoint, *([] if trained.config is not None else ["--dataset", "NAME"]), *input_words(trained.input))


def _in(path: Path) -> Calibration | None:
    return Calibration.load(path) if path.is_file() else None


def fit(pairs: Pairs, *, model: str, metric: Metric, flip: bool, method: Method = "auto", prior: float = 0.5, seed: int = 0) -> Calibration:
    """A calibration by scikit-learn.

    ``platt`` is a logistic curve over the distance (Platt 1999), ``isotonic`` any falling one (Zadrozny, Elkan 2002). ``auto`` takes
    the one with the lower log loss on people that it was not fitted on, over folds of people.

    Args:
        pairs: genuine and impostor pairs.
        model, metric, flip: how the distances were made, as in ``Calibration``.
        method: ``auto``, ``platt`` or ``isotonic``.
        prior: share of genuine pairs for which probabilities are given.
        seed: of the folds.

    Raises:
        UserError: a prior that is not between 0 and 1, or too few people for folds.
    """
    check_prior(prior)
    losses = {name: _held_out_loss(name, pairs, seed) for name in _FITS}
    chosen = min(losses, key=losses.__getitem__) if method == "auto" else method
    distances, log_odds = _FITS[chosen](pairs)
    facts = {"method": chosen, "held_out_log_loss": losses, "log_loss_of_no_knowledge": float(np.log(2))}
    return Calibration(model, metric, flip, distances, log_odds, prior, facts)


def check_prior(prior: float) -> None:
    """Raises ``UserError`` for a prior that is not between 0 and 1."""
    if not 0 < prior < 1:
        raise UserError(f"a prior of {prior}", "It must lie between 0 and 1: the share of genuine pairs among those that will be asked about.")


def _platt(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    spread = float(pairs.distances.std()) or 1.0
    # With scikit-learn's default C, the penalty would flatten the curve.
    model = LogisticRegression(C=1e6).fit(pairs.distances[:, None] / spread, pairs.genuine, sample_weight=_even(pairs) * len(pairs) / 2)
    knots = np.linspace(0, float(pairs.distances[-1]), _KNOTS)
    slope = float(model.coef_[0, 0]) / spread
    if slope >= 0:  # the nearer ones are no likelier to be genuine, so a distance tells nothing
        return knots, np.zeros_like(knots)
    return knots, slope * knots + float(model.intercept_[0])


def _isotonic(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.isotonic import IsotonicRegression

    # Probabilities stay away from 0 and 1: n pairs of one kind do not rule out that the next one is of the other.
    least = 1 / (2 + 2 * min(int(pairs.genuine.sum()), int((~pairs.genuine).sum())))
    model = IsotonicRegression(increasing=False, y_min=least, y_max=1 - least)
    model.fit(pairs.distances.astype(np.float64), pairs.genuine.astype(np.float64), sample_weight=_even(pairs))
    knots, first = np.unique(model.X_thresholds_, return_index=True)
    return knots, np.array([_log_odds(value) for value in model.y_thresholds_[first]])


_FITS = {"platt": _platt, "isotonic": _isotonic}


def _even(pairs: Pairs) -> np.ndarray:
    """Weights of the pairs: those of all genuine ones sum to 1, and so do those of all impostors."""
    return np.where(pairs.genuine, 1 / pairs.genuine.sum(), 1 / (~pairs.genuine).sum())


def _held_out_loss(name: str, pairs: Pairs, seed: int) -> float:
    """Mean log loss at even odds on pairs of people that the fit has not seen, over folds of people."""
    count = int(pairs.identities.max()) + 1
    fold_of = np.random.default_rng(seed).permutation(count) % _FOLDS
    folds = fold_of[pairs.identities]
    losses = []
    for fold in range(_FOLDS):
        parts = [pairs.take(np.flatnonzero(mask)) for mask in ((folds != fold).all(axis=1), (folds == fold).all(axis=1))]
        if any(part.genuine.all() or not part.genuine.any() for part in parts):
            continue
        knots, log_odds = _FITS[name](parts[0])
        odds = np.interp(parts[1].distances, knots, log_odds)
        losses.append(float((np.logaddexp(0, np.where(parts[1].genuine, -odds, odds)) * _even(parts[1])).sum() / 2))
    if not losses:
        raise UserError(f"{count} people are too few to try a calibration on others than it was fitted on", f"Name a split with {2 * _FOLDS} people or more, and leave them room with --most_images.")
    return float(np.mean(losses))


def _log_odds(probability: float) -> float:
    if not 0 < probability < 1:
        raise UserError(f"a probability of {probability}", "It must lie between 0 and 1, and be neither.")
    return float(np.log(probability) - np.log1p(-probability))
