"""Freezing the backbone while the layers above it learn."""

from __future__ import annotations

from ..models import IdentityClassifier


class Freezer:
    """Freezes the backbone of a network and thaws it.

    While it is frozen, its weights get no gradient, and so neither a step nor decay, and it is in eval mode: BatchNorm uses its running statistics and
    does not update them, and there is no dropout.

    Args:
        network: the one whose backbone is frozen.
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
