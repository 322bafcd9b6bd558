"""The exponential moving average of a network over the steps of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from ..models import IdentityClassifier


class Average:
    """``sum d^(t-i) w_i / sum d^(t-i)`` over the steps i = 1..t, of the weights and of BatchNorm's running statistics; counters are those of the last step.

    It is divided by the sum of the factors, as Adam's moments are (Kingma and Ba 2015, section 3), so that only steps count: after the first step it is
    the weights themselves, and the initial weights have no part in it.

    Args:
        network: what is averaged; its present weights do not count.
        decay: d, at least 0 and below 1.
    """

    def __init__(self, network: IdentityClassifier, decay: float) -> None:
        self.decay = decay
        self._averaged = AveragedModel(network)
        self._averaged.eval()

    @property
    def network(self) -> IdentityClassifier:
        """The averaged network, in eval mode; to be used and not to be trained."""
        return self._averaged.module

    @torch.no_grad()
    def update(self, network: IdentityClassifier) -> None:
        """Adds the weights after a step to the average."""
        # Not by `update_parameters`, which reads a counter on the GPU, so that every step would have to wait for it.
        self._averaged.n_averaged += 1
        weight = (1 - self.decay) / (1 - self.decay ** int(self._averaged.n_averaged))
        pairs = list(zip(_values(self.network), _values(network), strict=True))
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([average for average, _ in moving], [value for _, value in moving], weight)
        for average, value in pairs:
            if not average.is_floating_point():
                average.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._averaged.load_state_dict(state)


def _values(network: IdentityClassifier) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
