"""What a stage minimises (Eq. 6 and 7): cross-entropy with the labels and imitation of the soft targets."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch.nn import functional as F

from ..config import LossConfig
from ..errors import UserError


class Loss(NamedTuple):
    """Batch means: ``total`` is minimised, ``cross_entropy`` (without smoothing) and ``imitation`` (the KL divergence) are logged."""

    total: torch.Tensor
    cross_entropy: torch.Tensor
    imitation: torch.Tensor


def imitation_loss(logits: torch.Tensor, reference: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(reference || current) of the softmax at ``temperature`` (Eq. 6), mean over the batch.

    Args:
        logits: of the network that learns, ``(B, C)``; half precision is computed in float32.
        reference: logits of the network that is imitated, ``(B, C)``; held constant.
        temperature: T > 0.

    Raises:
        UserError: the reference has another shape, or the temperature is not above 0.
    """
    if reference.shape != logits.shape:
        raise UserError(f"logits {tuple(logits.shape)} cannot imitate soft targets {tuple(reference.shape)}", "Take the rows of the batch: reference[rows].")
    if not temperature > 0:
        raise UserError(f"the temperature is {temperature}", "It must be above 0.")
    # In bfloat16 a logit divided by a temperature of 3 is so coarse that gradients near the reference are off by a tenth.
    target = F.log_softmax(reference.detach().float() / temperature, dim=1)
    current = F.log_softmax(logits.float() / temperature, dim=1)
    return F.kl_div(current, target, reduction="batchmean", log_target=True)


def imitation_weight(config: LossConfig, epoch: int) -> float:
    """The weight of the imitation term: T squared unless set, times ``exp(-5 (1 - e/ramp)^2)`` while it ramps up."""
    weight = config.temperature**2 if config.imitation is None else config.imitation
    if epoch < config.ramp_epochs:
        weight *= math.exp(-5 * (1 - epoch / config.ramp_epochs) ** 2)
    return weight


def stage_loss(
    logits: torch.Tensor, targets: torch.Tensor, reference: torch.Tensor | None, config: LossConfig, epoch: int = 0
) -> Loss:
    """``scale * (CE + weight * KL)`` (Eq. 7); without a reference, ``scale * CE``. The cross-entropy's weight is 1 unless told otherwise.

    Args:
        logits: ``(B, C)``.
        targets: int64 ``(B,)``.
        reference: logits of the reference ``(B, C)``, or none.
        config: weights, temperature, label smoothing.
        epoch: of the stage, for the ramp.
    """
    plain = F.cross_entropy(logits, targets)
    smoothed = F.cross_entropy(logits, targets, label_smoothing=config.label_smoothing) if config.label_smoothing else plain
    weighted = config.cross_entropy * smoothed
    if reference is None:
        return Loss(config.scale * weighted, plain.detach(), torch.zeros((), device=logits.device))
    imitation = imitation_loss(logits, reference, config.temperature)
    total = config.scale * (weighted + imitation_weight(config, epoch) * imitation)
    return Loss(total, plain.detach(), imitation.detach())
