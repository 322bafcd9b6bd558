"""The one clean pass over images: eval mode, in order, every image once, whatever the number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from .data.augment import clean
from .data.images import ImageSource
from .data.loader import share
from .devices import Place
from .models import IdentityClassifier

Track = Callable[[Iterable[int]], Iterable[int]]
"""Wraps the starts of the batches, for a progress bar."""


def run(
    model: IdentityClassifier,
    source: ImageSource,
    compute: Callable[[torch.Tensor], torch.Tensor],
    *,
    size: tuple[int, int],
    place: Place,
    batch: int = 64,
    track: Track = iter,
) -> np.ndarray:
    """Applies ``compute`` to all images in order.

    The network is in eval mode for the pass (no running statistic changes) and as before afterwards.

    Args:
        model: whose mode is set; ``compute`` uses it.
        source: N images.
        compute: from float ``(B, 3, H, W)`` on the device to ``(B, D)``.
        size: (height, width) that the network takes.
        place: device, precision and share of this process.
        batch: images at a time.
        track: wraps the iteration, for a progress bar.

    Returns:
        ``(N, D)``, in every process.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), place.autocast():
            pieces = list(_pieces(source, compute, size, place, batch, track))
    finally:
        model.train(was_training)
    mine = np.concatenate(pieces) if pieces else None
    return _gathered(mine, place)


def _pieces(
    source: ImageSource, compute: Callable[[torch.Tensor], torch.Tensor], size: tuple[int, int], place: Place, batch: int, track: Track
) -> Iterator[np.ndarray]:
    start, stop = share(len(source), place.rank, place.world)
    for first in track(range(start, stop, batch)):
        images = source.batch(range(first, min(first + batch, stop))).to(place.device)
        yield compute(clean(images, size)).float().cpu().numpy()


def _gathered(mine: np.ndarray | None, place: Place) -> np.ndarray:
    if place.world == 1:
        if mine is None:
            raise ValueError("a pass over no images")
        return mine
    shares: list[np.ndarray | None] = [None] * place.world
    torch.distributed.all_gather_object(shares, mine)
    return np.concatenate([piece for piece in shares if piece is not None])


def embed(
    model: IdentityClassifier,
    source: ImageSource,
    *,
    size: tuple[int, int],
    place: Place,
    flip: bool = False,
    batch: int = 64,
    track: Track = iter,
) -> np.ndarray:
    """Embeddings float32 ``(N, D)``; ``flip`` averages those of the image and its mirror."""

    def compute(images: torch.Tensor) -> torch.Tensor:
        vectors = model.embed(images).float()
        return (vectors + model.embed(images.flip(3)).float()) / 2 if flip else vectors

    return run(model, source, compute, size=size, place=place, batch=batch, track=track)


def logits(
    model: IdentityClassifier,
    source: ImageSource,
    *,
    size: tuple[int, int],
    place: Place,
    flip_at: float | None = None,
    batch: int = 64,
    track: Track = iter,
) -> np.ndarray:
    """Logits float32 ``(N, C)``.

    With ``flip_at=T`` the beliefs about an image and its mirror are averaged as probabilities at temperature T and handed
    back as logits: ``softmax(result / T)`` is that average.
    """

    def compute(images: torch.Tensor) -> torch.Tensor:
        plain = model(images).logits
        if flip_at is None:
            return plain
        both = torch.stack([plain, model(images.flip(3)).logits]) / flip_at
        return flip_at * (torch.logsumexp(torch.log_softmax(both, dim=2), dim=0) - np.log(2))

    return run(model, source, compute, size=size, place=place, batch=batch, track=track)
