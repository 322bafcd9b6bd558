"""What stands at the end of a network is computed in float32 while its convolutions run in bf16."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reid_srdl.models import build
from reid_srdl.models.full_precision import FullPrecision, wide


def test_float32_is_the_least() -> None:
    assert [wide(dtype) for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64)] == [torch.float32] * 3 + [torch.float64]


def test_layers_are_a_sequential_s_without_autocast() -> None:
    layers = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.ReLU()).eval()
    ours, inputs = FullPrecision(*layers).eval(), torch.randn(16, 8)
    assert ours.state_dict().keys() == layers.state_dict().keys()
    with torch.autocast("cpu", torch.bfloat16):
        assert layers(inputs.bfloat16()).dtype == torch.bfloat16
        made = ours(inputs.bfloat16())
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, layers(inputs.bfloat16().float()))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x0_5", "squeezenet1_1", "torchreid:osnet_x0_25", "timm:resnet18"])
def test_an_embedding_of_bf16_convolutions_is_no_bf16(needs, name: str) -> None:
    if ":" in name:
        needs(name.partition(":")[0])
    network = build(name, 5).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        embedded = network.embed(torch.randn(2, 3, 128, 64))
    assert embedded.dtype == torch.float32 and not torch.equal(embedded, embedded.bfloat16().float())
