"""How flat the minimum is that training ended in: the loss at a distance from the weights, along random directions (Fig. 4).

The paper compares the loss at ``w + d·u``, for u of length 1 and d from 0 to 5. Two networks of the same shape and the same
seed are moved along the same directions, and always copies of them: they themselves stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..data.augment import clean
from ..data.images import ImageSource, MemoryImages
from ..errors import UserError
from ..inference import Track
from ..runs import Trained
from ..seeds import generator
from .flatness_profiles import USUAL, Curves, Profile, Settings


class Scores(NamedTuple):
    """Loss and accuracy of a network at one point; the accuracy is a fraction, NaN where it is not measured."""

    loss: float
    accuracy: float = float("nan")


Measure = Callable[[nn.Module], Scores]


# --- directions ---------------------------------------------------------------------------------------------------


def _trained(network: nn.Module) -> dict[str, nn.Parameter]:
    found = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    if not found:
        raise UserError("the network has no weights that are trained", "Flatness moves the weights with requires_grad.")
    return found


def direction(network: nn.Module, number: int, *, seed: int = 0, scale: Literal["unit", "filter"] = "unit") -> dict[str, Tensor]:
    """A random direction in the space of the trained weights: name to a tensor like the weight, on its device.

    Depends on nothing but the seed, the number and the shapes of the weights; with ``filter`` also on the filters' norms.
    """
    draws = generator(seed, "flatness", "direction", number)
    weights = _trained(network)
    # By shape and not by ``randn_like``, which fills channels-last memory in another order.
    drawn = {name: torch.randn(weight.shape, generator=draws).to(weight) for name, weight in weights.items()}
    if scale == "filter":
        return {name: _like_filters(value, weights[name].detach()) for name, value in drawn.items()}
    length = torch.stack([value.double().square().sum().cpu() for value in drawn.values()]).sum().sqrt().item()
    return {name: value / length for name, value in drawn.items()}


def _like_filters(drawn: Tensor, weight: Tensor) -> Tensor:
    """``drawn`` with each filter (row of the first dimension) scaled to its norm in ``weight``; 0 for biases and BatchNorm, which have no filters and do not move."""
    if weight.ndim <= 1:
        return torch.zeros_like(drawn)
    ratio = weight.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
    return drawn * ratio.view(-1, *[1] * (weight.ndim - 1))


# --- the walk -----------------------------------------------------------------------------------------------------


@torch.no_grad()
def walk(
    network: nn.Module,
    measures: Mapping[str, Measure],
    settings: Settings = USUAL,
    *,
    prepare: Callable[[nn.Module], None] | None = None,
    track: Track = iter,
) -> dict[str, Profile]:
    """Measures a network at all distances along all directions.

    Args:
        network: any; it is copied, and neither its weights nor its statistics nor its mode change, whatever happens.
        measures: name to what is measured; each is handed the moved copy.
        settings: directions and distances; what concerns images is left to ``measures`` and ``prepare``.
        prepare: called with the moved copy before it is measured.
        track: wraps the iteration over points, for a progress bar.
    """
    moved = copy.deepcopy(network)
    weights = _trained(moved)
    origin = {name: weight.clone() for name, weight in weights.items()}
    distances = settings.distances
    found = {name: np.empty((2, settings.directions, len(distances))) for name in measures}

    def look(where: Any) -> None:
        if prepare is not None:
            prepare(moved)
        for name, measure in measures.items():
            found[name].T[where] = measure(moved)  # the transpose is (P, K, 2)

    look(0)  # distance 0, the same point along all directions
    ahead: dict[str, Tensor] = {}
    for step in track(range(settings.directions * (len(distances) - 1))):
        number, point = divmod(step, len(distances) - 1)
        if point == 0:
            ahead = direction(network, number, seed=settings.seed, scale=settings.scale)
        for name, weight in weights.items():
            weight.copy_(origin[name].add(ahead[name], alpha=float(distances[point + 1])))
        look((point + 1, number))
    return {name: Profile(distances, loss, accuracy) for name, (loss, accuracy) in found.items()}


@torch.no_grad()
def renew_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets BatchNorm's running statistics from ``batches`` of inputs alone: the mean over batches, all of equal weight.

    As ``torch.optim.swa_utils.update_bn``, but with everything else in eval mode: dropout would be noise here. The network is
    in eval mode afterwards.
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    network.eval()
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None
            layer.train()
        for inputs in batches:
            network(inputs)
    finally:
        network.eval()
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


# --- trained networks on images -----------------------------------------------------------------------------------

Labelled = tuple[Tensor | ImageSource, Tensor | np.ndarray | Sequence[int]]
"""uint8 images ``(N, 3, h, w)``, or a source of N, and their classes ``(N,)`` in 0..C-1."""


def compare(
    networks: Mapping[str, Trained], train: Labelled, test: Labelled | None = None, settings: Settings = USUAL, *, track: Track = iter
) -> Curves:
    """Several trained networks on the same images along the same directions.

    Everything is computed in float32: in bf16 a step of 0.25, shared out over millions of weights, would be lost in rounding.

    Args:
        networks: name to a trained network (``runs.load``), of which ``network``, ``size`` and ``place.device`` are used.
        train: images that the networks were trained on.
        test: others of the same classes. People who were not trained on have no class, and so no loss.
        settings: how they are measured.
        track: wraps the iteration over the points of each network, for a progress bar.

    Raises:
        UserError: no networks, no images, or targets that do not fit to the images or to a network's classes.
    """
    if not networks:
        raise UserError("there are no networks to compare", "Give at least one finished run.")
    given = {"train": train, "test": test} if test is not None else {"train": train}
    classes = {name: trained.network.num_classes for name, trained in networks.items()}
    splits = {split: _drawn(labelled, settings.images, split, classes, settings.seed) for split, labelled in given.items()}
    others = None
    if settings.statistics == "renewed":
        others = _drawn(train, settings.renewal * settings.batch, "statistics", classes, settings.seed)[0]
        # A part of a batch would count as much as a whole one.
        others = others[: max(1, len(others) // settings.batch) * settings.batch]
        if len(others) < 2:
            raise UserError("one training image has no statistics", "Give more of them, or freeze the running statistics.")
    # TF32, which convolutions on a GPU would otherwise use, is as coarse as the steps that are measured.
    with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, deterministic=True, allow_tf32=False):
        profiles = {name: _walked(trained, splits, others, settings, track) for name, trained in networks.items()}
    return Curves(settings, profiles, {split: len(images) for split, (images, _) in splits.items()})


def _walked(
    trained: Trained, splits: Mapping[str, tuple[Tensor, Tensor]], others: Tensor | None, settings: Settings, track: Track
) -> dict[str, Profile]:
    def ready(images: Tensor) -> Tensor:
        return clean(images.to(trained.place.device), trained.size)

    def prepare(network: nn.Module) -> None:
        network.eval()
        if others is not None:
            renew_statistics(network, (ready(images) for images in others.split(settings.batch)))

    def measure(images: Tensor, targets: Tensor) -> Measure:
        def scores(network: nn.Module) -> Scores:
            loss, right = 0.0, 0
            for some, wanted in zip(images.split(settings.batch), targets.split(settings.batch), strict=True):
                logits = network(ready(some)).logits.cpu()
                loss += float(F.cross_entropy(logits, wanted, reduction="none").double().sum())
                right += int((logits.argmax(dim=1) == wanted).sum())
            return Scores(loss / len(images), right / len(images))

        return scores

    return walk(trained.network, {split: measure(*labelled) for split, labelled in splits.items()}, settings, prepare=prepare, track=track)


def _drawn(labelled: Labelled, count: int, purpose: str, classes: Mapping[str, int], seed: int) -> tuple[Tensor, Tensor]:
    """At most ``count`` images with their targets, the same for all networks, in the order of the split; on the CPU."""
    source, targets = labelled[0], torch.as_tensor(labelled[1]).cpu().long()
    if isinstance(source, Tensor):
        if source.dtype != torch.uint8 or source.ndim != 4:
            raise UserError(f"images of type {source.dtype} and shape {tuple(source.shape)} are not understood", "Give uint8 (N, 3, H, W).")
        source = MemoryImages(source)
    if len(source) == 0 or targets.shape != (len(source),):
        raise UserError(f"{len(source)} images with targets of shape {tuple(targets.shape)} make no loss", "Give as many targets as images, and at least one.")
    for name, known in classes.items():
        if not 0 <= int(targets.min()) <= int(targets.max()) < known:
            raise UserError(
                f"the targets go from {int(targets.min())} to {int(targets.max())}, but {name} tells {known} classes apart",
                "Targets count the training classes from 0; images of people who were not trained on have none.",
            )
    order = torch.randperm(len(source), generator=generator(seed, "flatness", purpose))[:count].sort().values
    return source.batch(order.tolist()).cpu(), targets[order]
