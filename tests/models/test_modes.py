"""A pass in eval mode leaves every part in the mode that it was in."""

from __future__ import annotations

import pytest
from torch import nn

from reid_srdl.models.modes import evaluating


def test_a_frozen_part_stays_frozen():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).train()
    network[1].eval()
    with pytest.raises(RuntimeError), evaluating(network):
        assert not any(part.training for part in network.modules())
        raise RuntimeError
    assert [part.training for part in network.modules()] == [True, True, False]
