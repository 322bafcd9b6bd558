"""The exponential moving average of a network over the steps of its training."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from ..models import IdentityClassifier


class Average:
    """``sum d^(t-i) w_i / sum d^(t-i)`` over the steps i = 1..t, of the weights and of BatchNorm's running statistics; counters are the last ones.

    Divided by its sum, as Adam's moments are (Kingma and Ba 2015, section 3), the average is of the steps there have been: after the first it is the
    weights themselves, and the initial ones have no part in it.

    Args:
        network: what is averaged; as it is here it does not count.
        decay: d, at least 0 and below 1.
    """

    def __init__(self, network: IdentityClassifier, decay: float) -> None:
        self.decay = decay
        self._averaged = AveragedModel(network, multi_avg_fn=self._towards, use_buffers=True)
        self._averaged.eval()

    @property
    def network(self) -> IdentityClassifier:
        """The averaged network, in eval mode; to be used and not to be trained."""
        return self._averaged.module

    def update(self, network: IdentityClassifier) -> None:
        """Takes one step more into the average."""
        self._averaged.update_parameters(network)

    def state_dict(self) -> dict[str, Any]:
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._averaged.load_state_dict(state)

    @torch.no_grad()
    def _towards(self, averages: list[torch.Tensor], values: list[torch.Tensor], done: torch.Tensor | int) -> None:
        # Counted here and not on `done`, which may lie on a GPU that every step would have to wait for.
        steps = int(self._averaged.n_averaged) + 1
        weight = (1 - self.decay) / (1 - self.decay**steps)
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, weight)
        else:
            torch._foreach_copy_(averages, values)
