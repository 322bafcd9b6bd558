"""A network to export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reid_srdl import devices
from reid_srdl.config import ModelConfig
from reid_srdl.models import build
from reid_srdl.runs import Trained, state_hash


@pytest.fixture
def trained() -> Trained:
    """Of three classes, with a neck, on 32 x 16 pixels; its running statistics are not those that it was made with."""
    torch.manual_seed(0)
    network = build("small", 3, neck="bnneck")
    network(torch.randn(64, 3, 32, 16) + 0.3)
    network.eval()
    place = devices.Place(torch.device("cpu"))
    return Trained(network, (32, 16), np.array([3, 5, 9]), state_hash(network.state_dict()), place, ModelConfig("small", "none", "bnneck"))
