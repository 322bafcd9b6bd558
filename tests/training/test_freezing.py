import torch

from reid_srdl.models import build
from reid_srdl.training.freezing import Freezer


def step(network):
    network(torch.randn(4, 3, 32, 16)).logits.square().sum().backward()


def test_frozen_nothing_of_the_backbone_moves_and_what_stands_on_it_learns():
    network = build("small", 4, neck="bnneck")
    statistics = {name: value.clone() for name, value in network.backbone.state_dict().items()}
    Freezer(network).train(frozen=True)
    step(network)
    assert all(torch.equal(value, statistics[name]) for name, value in network.backbone.state_dict().items())
    assert all(p.grad is None for p in network.backbone.parameters())
    assert network.classifier.weight.grad is not None and network.neck.training and not any(m.training for m in network.backbone.modules())


def test_thawed_it_is_as_it_was():
    network = build("small", 4, neck="bnneck")
    network.backbone.layers[0].bias.requires_grad_(False)
    before = [p.requires_grad for p in network.parameters()]
    freezer = Freezer(network)
    step(network)
    freezer.train(frozen=True)
    assert network.backbone.layers[0].weight.grad is None, "an old gradient would still make a step"
    freezer.train(frozen=False)
    assert [p.requires_grad for p in network.parameters()] == before and all(m.training for m in network.modules())
    step(network)
    assert network.backbone.layers[0].weight.grad is not None and network.backbone.layers[0].bias.grad is None
