"""Whether a file computes what the network computes: compares the two on the same pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..data.augment import clean
from ..errors import UserError
from ..evaluation.scored import Track
from ..runs import Trained

TOLERANCE: dict[str, float] = {"fp32": 1e-4, "bf16": 0.01, "int8": 0.1}
"""For fp32, the largest allowed difference as a fraction of the largest number in the embeddings; for the others, how far the lowest cosine may be from 1."""



@dataclass(frozen=True)
class Parity:
    """N vectors of a network compared with those of a file.

    Args:
        images: N.
        difference: the largest difference between two numbers.
        largest: the largest of the network's numbers, by magnitude.
        cosine_lowest, cosine_mean: of the cosines between the two vectors of an image.
    """

    images: int
    difference: float
    largest: float
    cosine_lowest: float
    cosine_mean: float

    def __str__(self) -> str:
        return (
            f"largest difference {self.difference:.2g} (of numbers up to {self.largest:.3g}), cosine {self.cosine_lowest:.6f} at the lowest, "
            f"{self.cosine_mean:.6f} in the mean"
        )


def compare(ours: np.ndarray, theirs: np.ndarray) -> Parity:
    """Compares two arrays ``(N, D)`` row by row. Two vectors of zeros count as equal; a vector with NaN equals none."""
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    both_zero = ~ours.any(axis=1) & ~theirs.any(axis=1)
    cosine = np.where(both_zero, 1.0, (ours * theirs).sum(axis=1) / np.where(lengths == 0, 1.0, lengths))
    return Parity(len(ours), float(np.abs(ours - theirs).max()), float(np.abs(ours).max()), float(cosine.min()), float(cosine.mean()))


def measure(trained: Trained, exported: Trained, pixels: torch.Tensor, *, logits: bool = False, batch: int = 32, track: Track = iter) -> dict[str, Parity]:
    """The parity of ``embedding`` and, where asked for, of ``logits``.

    Args:
        trained: the network, in fp32.
        exported: the file made from it, opened.
        pixels: uint8 ``(N, 3, H, W)`` of the network's input size; both are given these.
        logits: whether logits are compared, too; the file must have them.
        batch: images at a time.
        track: wraps the starts of the batches, for a progress bar.
    """
    found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {name: ([], []) for name in ("embedding", *(["logits"] if logits else []))}
    with torch.inference_mode():
        for start in track(range(0, len(pixels), batch)):
            images = clean(pixels[start : start + batch], trained.size)
            for side, network in enumerate((trained.network, exported.network)):
                said = network(images)._asdict() if logits else {"embedding": network.embed(images)}
                for name, sides in found.items():
                    sides[side].append(said[name].float().numpy())
    return {name: compare(np.concatenate(ours), np.concatenate(theirs)) for name, (ours, theirs) in found.items()}


def check(parity: Parity, precision: str, tolerance: float | None = None, what: str = "embedding") -> float:
    """Returns the tolerance (by default that of the precision). Raises ``UserError`` where the file differs by more than that."""
    allowed = TOLERANCE[precision] if tolerance is None else tolerance
    off = parity.difference / max(parity.largest, np.finfo(np.float32).tiny) if precision == "fp32" else 1 - parity.cosine_lowest
    if off <= allowed:  # written so that NaN fails
        return allowed
    measure = "the largest difference in parts of the largest number" if precision == "fp32" else "1 - the lowest cosine"
    raise UserError(
        f"the {what} of the exported network is not the network's: {parity}; {measure} is {off:.2g}, above the tolerance {allowed:g}",
        f"Nothing was kept. Take {'a higher precision, or ' if precision != 'fp32' else ''}a higher --tolerance if that is enough for you.",
    )
