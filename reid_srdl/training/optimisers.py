"""Optimisers, and which parameters have a learning rate or a weight decay of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..config import OptimiserConfig
from ..models import IdentityClassifier


class Grouped(NamedTuple):
    """An optimiser, and for each of its groups of parameters the factor by which the stage's rate is multiplied."""

    optimiser: torch.optim.Optimizer
    shares: tuple[float, ...]

    def set_rate(self, rate: float) -> None:
        """Gives each group its share of ``rate``."""
        for group, share in zip(self.optimiser.param_groups, self.shares, strict=True):
            group["lr"] = rate * share


Make = Callable[..., torch.optim.Optimizer]
"""Makes an optimiser from a configuration, groups of parameters, and whether a step is one kernel (``fused``)."""


def _sgd(config: OptimiserConfig, groups: list[dict[str, Any]], **how: bool | None) -> torch.optim.Optimizer:
    nesterov = config.nesterov and config.momentum > 0
    return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum, nesterov=nesterov, weight_decay=config.weight_decay, **how)


def _adam(config: OptimiserConfig, groups: list[dict[str, Any]], **how: bool | None) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, lr=config.rate, betas=config.betas, weight_decay=config.weight_decay, **how)


def _amsgrad(config: OptimiserConfig, groups: list[dict[str, Any]], **how: bool | None) -> torch.optim.Optimizer:
    return _adam(config, groups, amsgrad=True, **how)


def _adamw(config: OptimiserConfig, groups: list[dict[str, Any]], **how: bool | None) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=config.rate, betas=config.betas, weight_decay=config.weight_decay, **how)


OPTIMISERS: dict[str, Make] = {
    "sgd": _sgd,
    "adam": _adam,
    "amsgrad": _amsgrad,
    "adamw": _adamw,
}


def build(config: OptimiserConfig, network: IdentityClassifier, *, scaled: bool = False) -> Grouped:
    """An optimiser of all parameters that are trained.

    Parameters with the same share of the rate and the same decay that are also frozen alike at first are one group, in the order of the network; so there
    is a single group where nothing is told apart.

    Args:
        config: which optimiser, and which parameters it treats differently.
        network: the one whose parameters are trained.
        scaled: the gradients will be those of a scaled loss (fp16). A fused step would divide them itself, and they could not be clipped before.
    """
    spared = _spared(network) if config.spare_norms else frozenset()
    groups: dict[tuple[float, bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            inside = name.startswith("backbone.")
            # A fused step of SGD cannot mix parameters that have a momentum with those that take their first step.
            key = (config.backbone_rate if inside else 1.0, name in spared, inside and config.frozen_epochs > 0)
            groups.setdefault(key, []).append(parameter)
    described = [{"params": members, **({"weight_decay": 0.0} if without else {})} for (_, without, _), members in groups.items()]
    return Grouped(OPTIMISERS[config.name](config, described, fused=None if scaled else True), tuple(share for share, *_ in groups))


def _spared(network: IdentityClassifier) -> frozenset[str]:
    """Names of parameters without weight decay: biases and those of normalisations, which have one dimension, and those that the backbone itself lists
    (timm's position embeddings and class tokens)."""
    said = getattr(network.backbone, "no_weight_decay", set)()
    flat = {name for name, parameter in network.named_parameters() if parameter.ndim <= 1}
    return frozenset(flat | {f"backbone.{name}" for name in said})
