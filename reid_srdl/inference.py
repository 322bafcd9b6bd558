"""The one clean pass over images: eval mode, in order, every image once, whatever the number of ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

import numpy as np
import torch

from . import heap
from .data.ahead import ahead_of, fetched
from .data.augment import clean
from .data.images import ImageSource
from .data.loader import share
from .devices import Place
from .models import IdentityClassifier
from .models.modes import evaluating

Track = Callable[[Iterable[int]], Iterable[int]]
"""Wraps the starts of the batches, for a progress bar."""
BATCH = 64
"""Images at a time."""
View = Callable[[torch.Tensor, int], torch.Tensor]
"""Takes uint8 images on the device and the row of the first one; returns the network's input."""


def run(
    model: IdentityClassifier,
    source: ImageSource,
    compute: Callable[[torch.Tensor], torch.Tensor],
    *,
    size: tuple[int, int],
    place: Place,
    batch: int = BATCH,
    track: Track = iter,
    view: View | None = None,
) -> np.ndarray:
    """Applies ``compute`` to all images in order.

    The network is in eval mode for the pass (no running statistic changes) and in its former mode afterwards. Processes divide the work by
    whole batches, so that each image is computed in the same batch, and so to the same bits, however many processes there are.

    Args:
        model: the network that ``compute`` uses; its mode is set.
        source: N images.
        compute: from float ``(B, 3, H, W)`` on the device to ``(B, D)``.
        size: (height, width) that the network takes.
        place: device, precision and share of this process.
        batch: images at a time.
        track: wraps the iteration, for a progress bar.
        view: makes the network's input; by default the images are resized and normalised (``augment.clean``).

    Returns:
        ``(N, D)``, in every process.
    """
    mine = place.gathered(run_own(model, source, compute, size=size, place=place, batch=batch, track=track, view=view))
    parts = [part for part in mine if part is not None]
    if not parts:
        raise ValueError("a pass over no images")
    return np.concatenate(parts)


def own_rows(count: int, place: Place, batch: int = BATCH) -> tuple[int, int]:
    """The rows [start, stop) of ``count`` images that this process passes over."""
    return share(count, place.rank, place.world, batch)


def run_own(
    model: IdentityClassifier,
    source: ImageSource,
    compute: Callable[[torch.Tensor], torch.Tensor],
    *,
    size: tuple[int, int],
    place: Place,
    batch: int = BATCH,
    track: Track = iter,
    view: View | None = None,
) -> np.ndarray | None:
    """As ``run``, but returns only the rows that this process computed (``own_rows``), or None where there are none."""
    start, stop = own_rows(len(source), place, batch)
    memory = heap.reused() if stop - start > batch else nullcontext()  # a single batch reuses nothing
    with evaluating(model), torch.inference_mode(), place.autocast(), memory:
        pieces = list(_pieces(source, compute, place, batch, track, view or (lambda images, first: clean(images, size))))
    return np.concatenate(pieces) if pieces else None


def _pieces(
    source: ImageSource, compute: Callable[[torch.Tensor], torch.Tensor], place: Place, batch: int, track: Track, view: View
) -> Iterator[np.ndarray]:
    start, stop = own_rows(len(source), place, batch)
    batches = fetched(lambda first: source.batch(range(first, min(first + batch, stop))), track(range(start, stop, batch)), ahead_of(place.device))
    for first, images in batches:
        yield compute(view(images.to(place.device), first)).float().cpu().numpy()


def embed(
    model: IdentityClassifier,
    source: ImageSource,
    *,
    size: tuple[int, int],
    place: Place,
    flip: bool = False,
    batch: int = BATCH,
    track: Track = iter,
    own: bool = False,
) -> np.ndarray:
    """Embeddings float32 ``(N, D)``; ``flip`` averages those of an image and its mirror image, ``own`` returns only the rows of ``own_rows``."""

    def compute(images: torch.Tensor) -> torch.Tensor:
        vectors = model.embed(images).float()
        return (vectors + model.embed(images.flip(3)).float()) / 2 if flip else vectors

    if not own:
        return run(model, source, compute, size=size, place=place, batch=batch, track=track)
    vectors = run_own(model, source, compute, size=size, place=place, batch=batch, track=track)
    return np.empty((0, model.dimension), np.float32) if vectors is None else vectors


def logits(
    model: IdentityClassifier,
    source: ImageSource,
    *,
    size: tuple[int, int],
    place: Place,
    flip_at: float | None = None,
    batch: int = BATCH,
    track: Track = iter,
    view: View | None = None,
    own: bool = False,
) -> np.ndarray:
    """Logits float32 ``(N, C)``; ``own`` returns only the rows of ``own_rows``.

    With ``flip_at=T`` the predictions for an image and its mirror image are averaged as probabilities at temperature T and
    returned as logits: ``softmax(result / T)`` is that average.
    """

    def compute(images: torch.Tensor) -> torch.Tensor:
        plain = model(images).logits
        if flip_at is None:
            return plain
        both = torch.stack([plain, model(images.flip(3)).logits]) / flip_at
        return flip_at * (torch.logsumexp(torch.log_softmax(both, dim=2), dim=0) - np.log(2))

    if not own:
        return run(model, source, compute, size=size, place=place, batch=batch, track=track, view=view)
    found = run_own(model, source, compute, size=size, place=place, batch=batch, track=track, view=view)
    return np.empty((0, model.num_classes), np.float32) if found is None else found
