from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch import nn

from reid_srdl import seeds
from reid_srdl.errors import UserError
from reid_srdl.models import build


@pytest.mark.parametrize("name", ["osnet_x0_25", "squeezenet1_0_fc512", "shufflenet_v2_x0_5"])
def test_torchreid_gives_features_in_both_modes(needs, name: str, images: torch.Tensor) -> None:
    needs("torchreid")
    network = build(f"torchreid:{name}", 5)
    dimension = {"osnet_x0_25": 512, "squeezenet1_0_fc512": 512, "shufflenet_v2_x0_5": 1024}[name]
    assert network.train()(images).embedding.shape == (2, dimension)
    assert network.eval()(images).embedding.shape == (2, dimension)
    # The mode of the whole network chose between vector and logits: with its layers in evaluation both are the vector.
    with torch.no_grad():
        expected = network.eval().embed(images)
        network.backbone.training = True
        assert torch.equal(network.embed(images), expected)


def test_torchreids_networks_of_parts_are_refused(needs) -> None:
    needs("torchreid")
    with pytest.raises(UserError, match="several parts"):
        build("torchreid:hacnn", 5)


def test_a_name_of_torchreid_is_found_without_its_prefix(needs) -> None:
    needs("torchreid")
    for wrong in ("osnet_x0_25", "torchreid:osnet_x025"):
        with pytest.raises(UserError, match="torchreid:osnet_x0_25"):
            build(wrong, 5)


def test_torchreids_download_fills_what_it_has_and_the_rest_is_drawn(needs, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torchreid")
    build("torchreid:osnet_x0_25", 5)

    def fill(network: nn.Module, key: str) -> None:
        for name, tensor in network.state_dict().items():
            if not name.startswith(("fc", "classifier")):
                tensor.fill_(0.5)

    monkeypatch.setattr(sys.modules["torchreid.reid.models.osnet"], "init_pretrained_weights", fill)
    built = []
    for seed in (1, 2):
        with seeds.forked(seed):
            built.append(build("torchreid:osnet_x0_25", 5, weights="imagenet"))
    assert {name.split(".")[0] for name in built[0].weights_report.missing} == {"fc"}
    assert all((network.backbone.conv5.conv.weight == 0.5).all() for network in built)
    assert not torch.equal(built[0].backbone.fc[0].weight, built[1].backbone.fc[0].weight)


@pytest.mark.filterwarnings("ignore")
def test_where_torchreid_has_no_weights_that_is_an_error(needs) -> None:
    needs("torchreid")
    with pytest.raises(UserError, match="no ImageNet weights of torchreid:mobilenetv2_x1_0"):
        build("torchreid:mobilenetv2_x1_0", 5, weights="imagenet")


def test_torchreid_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchreid"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install torchreid"):
        build("torchreid:osnet_x0_25", 5)
    with pytest.raises(UserError, match="resnet50"):
        build("resnet5O", 5)


def test_only_the_models_of_torchreid_are_imported(needs, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("torchreid")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchreid"]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    assert build("torchreid:osnet_x0_25", 5).dimension == 512
    brought = {name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}
    assert brought and all(name.startswith("torchreid.reid.models") for name in brought)
