"""A backbone that stays as it is while what stands on it learns."""

from __future__ import annotations

from ..models import IdentityClassifier


class Freezer:
    """Freezes the backbone of a network and thaws it.

    Frozen, its weights get no gradient and so no step nor decay, and it is in eval mode: its BatchNorms use their running statistics and leave them as
    they are, and nothing is dropped out.

    Args:
        network: whose backbone.
    """

    def __init__(self, network: IdentityClassifier) -> None:
        self.network = network
        self._trained = [parameter for parameter in network.backbone.parameters() if parameter.requires_grad]

    def train(self, frozen: bool) -> None:
        """Puts the network into training mode, its backbone ``frozen`` or not."""
        self.network.train()
        if frozen:
            self.network.backbone.eval()
        for parameter in self._trained:
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None
