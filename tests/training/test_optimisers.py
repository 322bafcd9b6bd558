from typing import get_args, get_type_hints

import pytest
import torch

from reid_srdl.config import OptimiserConfig
from reid_srdl.models import build
from reid_srdl.training import optimisers


def names_of(network, group):
    known = {id(parameter): name for name, parameter in network.named_parameters()}
    return {known[id(parameter)] for parameter in group["params"]}


def test_every_name_of_the_configuration_is_there():
    assert set(get_args(get_type_hints(OptimiserConfig)["name"])) == set(optimisers.OPTIMISERS)


def test_unless_told_apart_all_are_one_group_in_the_network_s_order():
    network = build("small", 4, neck="bnneck")
    made = optimisers.build(OptimiserConfig(), network)
    assert isinstance(made.optimiser, torch.optim.SGD) and made.shares == (1.0,)
    (group,) = made.optimiser.param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in network.parameters() if p.requires_grad]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 2e-4)


@pytest.mark.parametrize(("momentum", "nesterov", "used"), [(0.9, True, True), (0.9, False, False), (0.0, True, False)])
def test_nesterov_s_momentum_is_a_choice_and_needs_a_momentum(momentum, nesterov, used):
    made = optimisers.build(OptimiserConfig(momentum=momentum, nesterov=nesterov), build("small", 4))
    assert [(group["momentum"], group["nesterov"]) for group in made.optimiser.param_groups] == [(momentum, used)]


def test_backbone_and_head_get_their_rates():
    network = build("small", 4, neck="bnneck")
    made = optimisers.build(OptimiserConfig(backbone_rate=0.1), network)
    made.set_rate(0.5)
    rates = {name: group["lr"] for group in made.optimiser.param_groups for name in names_of(network, group)}
    assert set(rates) == {name for name, p in network.named_parameters() if p.requires_grad}
    assert all(rate == pytest.approx(0.05 if name.startswith("backbone.") else 0.5) for name, rate in rates.items())


def test_norms_and_biases_are_spared_the_decay():
    network = build("small", 4)
    made = optimisers.build(OptimiserConfig(spare_norms=True, backbone_rate=0.1, weight_decay=0.3), network)
    decays = {name: group["weight_decay"] for group in made.optimiser.param_groups for name in names_of(network, group)}
    assert {name for name, decay in decays.items() if decay} == {"backbone.layers.0.weight", "backbone.layers.4.weight", "classifier.weight"}
    assert set(decays.values()) == {0.0, 0.3} and len(made.shares) == 4


def test_what_a_library_spares_is_spared():
    network = build("timm:vit_tiny_patch16_224", 4, image_size=(32, 16))
    made = optimisers.build(OptimiserConfig(spare_norms=True), network)
    spared = set().union(*(names_of(network, group) for group in made.optimiser.param_groups if not group["weight_decay"]))
    assert {"backbone.pos_embed", "backbone.cls_token", "backbone.norm.weight"} <= spared and "backbone.patch_embed.proj.weight" not in spared


@pytest.mark.parametrize(
    ("name", "kind", "options"), [("adam", torch.optim.Adam, {}), ("amsgrad", torch.optim.Adam, {"amsgrad": True}), ("adamw", torch.optim.AdamW, {})]
)
def test_a_step_is_torch_s_own(name, kind, options):
    config = OptimiserConfig(name=name, rate=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    ours, theirs = build("small_without_norm", 4), build("small_without_norm", 4)
    theirs.load_state_dict(ours.state_dict())
    pair = (ours, optimisers.build(config, ours).optimiser), (theirs, kind(theirs.parameters(), lr=0.01, betas=(0.8, 0.95), weight_decay=0.1, **options))
    images = torch.randn(3, 6, 3, 32, 16)
    for network, optimiser in pair:
        for batch in images:
            optimiser.zero_grad()
            network(batch).logits.square().mean().backward()
            optimiser.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
