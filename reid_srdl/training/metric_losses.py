"""Losses on distances and angles, from pytorch-metric-learning (Musgrave et al. 2020), beside the cross-entropy and the imitation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import MetricConfig
from ..models import IdentityClassifier, Output


class MetricLoss(Protocol):
    """A scalar of a batch.

    Args:
        output: of the network; embedding and features are ``(B, D)``.
        targets: int64 ``(B,)`` in 0..C-1.
    """

    def __call__(self, output: Output, targets: Tensor) -> Tensor: ...


def build(config: MetricConfig, network: IdentityClassifier) -> MetricLoss | None:
    """The loss that a configuration asks for, or none.

    Args:
        config: name, margin and scale are used; the caller applies the weight.
        network: the one whose classifier a loss on angles trains.
    """
    return LOSSES[config.name](config, network) if config.name != "none" else None


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def triplet(config: MetricConfig, network: IdentityClassifier) -> MetricLoss:
    """Batch-hard triplets (Hermans et al. 2017, Eq. 5): for each image, d_p to the farthest of its person and d_n to the nearest of another, Euclidean on
    the features; the mean over the batch of ``max(0, margin + d_p - d_n)``, or with the soft margin of ``log(1 + exp(d_p - d_n))``."""
    from pytorch_metric_learning import distances, losses, miners, reducers

    euclidean = distances.LpDistance(normalize_embeddings=False)
    hardest = miners.BatchHardMiner(distance=euclidean)
    soft = config.margin is None
    loss = losses.TripletMarginLoss(margin=_or(config.margin, 0.0), smooth_loss=soft, distance=euclidean, reducer=reducers.MeanReducer())

    def of(output: Output, targets: Tensor) -> Tensor:
        return loss(output.features, targets, hardest(output.features, targets))

    return of


def circle(config: MetricConfig, network: IdentityClassifier) -> MetricLoss:
    """Circle loss (Sun et al. 2020, Eq. 6) on cosines of the features, with each image as the anchor of its pairs; the mean over the batch."""
    from pytorch_metric_learning import losses, reducers

    # Without a reducer of its own it would leave out the images whose loss is 0, and weigh the others more.
    loss = losses.CircleLoss(m=_or(config.margin, 0.25), gamma=_or(config.scale, 128.0), reducer=reducers.MeanReducer())
    return lambda output, targets: loss(output.features, targets)


def arcface(config: MetricConfig, network: IdentityClassifier) -> MetricLoss:
    """Additive angular margin (Deng et al. 2019, Eq. 3) between the embedding and the class vectors of the network's classifier; the mean over the batch."""
    from pytorch_metric_learning import losses

    return _on_classifier(losses.ArcFaceLoss, network, margin=math.degrees(_or(config.margin, 0.5)), scale=_or(config.scale, 64.0))


def cosface(config: MetricConfig, network: IdentityClassifier) -> MetricLoss:
    """Additive cosine margin (Wang et al. 2018, "CosFace", Eq. 4), otherwise as ``arcface``."""
    from pytorch_metric_learning import losses

    return _on_classifier(losses.CosFaceLoss, network, margin=_or(config.margin, 0.35), scale=_or(config.scale, 64.0))


def _on_classifier(kind: type[torch.nn.Module], network: IdentityClassifier, **options: float) -> MetricLoss:
    """A loss that uses the network's class vectors in place of its own, so that all that it learns is saved with the network."""
    with torch.random.fork_rng(devices=[]):  # it draws vectors of its own, which are never used
        loss = kind(network.num_classes, network.dimension, **options).to("meta")

    def of(output: Output, targets: Tensor) -> Tensor:
        return torch.func.functional_call(loss, {"W": _at_unit_length(network.classifier.weight).t()}, (output.embedding, targets))

    return of


def _at_unit_length(vectors: Tensor) -> Tensor:
    """Rows ``(C, D)`` scaled to length 1; gradients pass to ``vectors`` unchanged.

    The true gradient of an angle grows as its vector gets shorter, and BNNeck's classifier starts with vectors a thousand times too short for that.
    Their lengths are left to the cross-entropy.
    """
    return F.normalize(vectors.detach(), dim=1) + (vectors - vectors.detach())


LOSSES: dict[str, Callable[[MetricConfig, IdentityClassifier], MetricLoss]] = {
    "triplet": triplet,
    "circle": circle,
    "arcface": arcface,
    "cosface": cosface,
}
