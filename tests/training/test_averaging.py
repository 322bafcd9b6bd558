import copy

import pytest
import torch

from reid_srdl.models import build
from reid_srdl.training.averaging import Average


def sequence(network, steps, seed=0):
    """The network at each of some steps, with weights and running statistics that change."""
    g = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        with torch.no_grad():
            for value in network.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape, generator=g))
                else:
                    value.add_(1)
        yield network


@pytest.mark.parametrize(("decay", "steps"), [(0.9, 1), (0.9, 5), (0.999, 40), (0.0, 3)])
def test_it_is_the_weighted_mean_of_the_steps_alone(decay, steps):
    """``sum d^(t-i) w_i / sum d^(t-i)``, without the weights that it began from."""
    network = build("small", 4)
    average = Average(network, decay)
    seen = []
    for at in sequence(network, steps):
        average.update(at)
        seen.append({name: value.clone().double() for name, value in at.state_dict().items()})
    weights = torch.tensor([decay ** (steps - 1 - i) for i in range(steps)], dtype=torch.float64)
    weights /= weights.sum()
    for name, value in average.network.state_dict().items():
        if value.is_floating_point():
            expected = sum(w * one[name] for w, one in zip(weights, seen, strict=True))
            assert torch.allclose(value.double(), expected, atol=1e-5), name
        else:
            assert torch.equal(value, network.state_dict()[name]), "counters are the last ones"


def test_the_network_itself_is_left_alone_and_the_average_is_a_copy_in_eval_mode():
    network = build("small", 4).train()
    average = Average(network, 0.5)
    before = copy.deepcopy(network.state_dict())
    average.update(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training and not average.network.training
    assert set(average.network.state_dict()) == set(network.state_dict())
    assert not {p.data_ptr() for p in network.parameters()} & {p.data_ptr() for p in average.network.parameters()}


def test_it_goes_on_from_its_state():
    network = build("small", 4)
    whole, half = Average(network, 0.9), Average(network, 0.9)
    for number, at in enumerate(sequence(network, 6)):
        whole.update(at)
        if number < 3:
            half.update(at)
        else:
            if number == 3:
                saved = copy.deepcopy(half.state_dict())
                half = Average(build("small", 4), 0.9)
                half.load_state_dict(saved)
            half.update(at)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, half.network.state_dict()[name])
