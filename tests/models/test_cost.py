from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from reid_srdl.models import build
from reid_srdl.models.cost import forward_macs, parameters


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def test_a_small_network_is_counted_as_by_hand() -> None:
    # Images of 10x6 give maps of 5x3; in four groups, each output sees 2 of the 8 channels.
    assert forward_macs(small(), (10, 6)) == 15 * 8 * (9 * 3) + 15 * 8 * (9 * 2) + 8 * 5
    assert parameters(small()) == (9 * 3 + 1) * 8 + 2 * 8 + 9 * 2 * 8 + (8 + 1) * 5


def test_counting_leaves_the_network_as_it_is() -> None:
    network = small()
    network[1].eval()
    network[3].weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    tensors = list(network.parameters())
    with torch.no_grad():
        forward_macs(network, (10, 6))
    assert [module.training for module in network] == [True, False, True, True, True, True, True]
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(now is then for now, then in zip(network.parameters(), tensors, strict=True))
    assert [tensor.requires_grad for tensor in tensors] == [True, True, True, True, False, True, True]
    assert all(tensor.grad is None for tensor in tensors)


def test_modes_come_back_where_the_image_is_refused() -> None:
    network = small()
    with pytest.raises(RuntimeError):
        forward_macs(network, (0, 6))
    assert network.training


def test_a_forward_pass_with_hooks_counts_the_same() -> None:
    counted = []

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        # Each value that comes out took as many multiplications as one row of the weights has values.
        counted.append(output.numel() * layer.weight[0].numel())

    network = build("resnet32_conv", 10).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    assert sum(counted) == forward_macs(network, (32, 32))


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "vit_b_16", "swin_t"])
def test_counts_are_those_that_torchvision_publishes(name: str) -> None:
    with torch.device("meta"):
        network = torchvision.models.get_model(name)
    published = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta
    assert round(forward_macs(network, (224, 224)) / 1e9, 3) == published["_ops"]
    assert parameters(network) == published["num_params"]


def test_the_device_and_the_precision_make_no_difference() -> None:
    counts = {forward_macs(network, (64, 32)) for network in (small(), small().to("meta"), small().double())}
    assert len(counts) == 1
    with torch.device("meta"):
        network = build("resnet50", 751)
    # Convolutions cost by the pixel; the classifier is too small to show.
    assert forward_macs(network, (256, 128)) == pytest.approx(4.087e9 * 256 * 128 / 224**2, rel=2e-3)


def test_what_is_held_fixed_is_counted() -> None:
    with torch.device("meta"):
        assert parameters(build("resnet18", 5, neck="bnneck")) == parameters(build("resnet18", 5)) - 5 + 2 * 512
