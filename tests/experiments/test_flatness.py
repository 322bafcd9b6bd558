"""Flatness: answers that are known, networks that stay as they are, and what may not change a curve."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from reid_srdl.data.augment import clean
from reid_srdl.devices import Place
from reid_srdl.errors import UserError
from reid_srdl.experiments import flatness
from reid_srdl.experiments.flatness import Scores
from reid_srdl.experiments.flatness_profiles import Settings
from reid_srdl.models import build

SIZE = (32, 16)
FEW = Settings(directions=2, points=3, images=24, batch=8, renewal=2)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


TRAIN = (torch.randint(0, 256, (40, 3, *SIZE), dtype=torch.uint8, generator=draws()), torch.randint(0, 5, (40,), generator=draws(1)))
TEST = (torch.randint(0, 256, (20, 3, *SIZE), dtype=torch.uint8, generator=draws(2)), torch.randint(0, 5, (20,), generator=draws(3)).numpy())


def trained(seed: int = 0, backbone: str = "small", neck: str = "none") -> SimpleNamespace:
    """A network that has seen some batches, in the mode that ``runs.load`` leaves it in."""
    torch.manual_seed(seed)
    network = build(backbone, 5, neck=neck).to(memory_format=torch.channels_last)
    for images in TRAIN[0].split(8):
        network(clean(images, SIZE))
    return SimpleNamespace(network=network.eval(), size=SIZE, place=Place(torch.device("cpu")))


class Point(nn.Module):
    """Weights without a network around them, in several tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(4, 3, dtype=torch.float64))
        self.second = nn.Parameter(torch.zeros(5, dtype=torch.float64))

    def flat(self) -> torch.Tensor:
        return torch.cat([self.first.flatten(), self.second])


def bits(network: nn.Module) -> dict[str, tuple[bytes, torch.dtype, tuple[int, ...]]]:
    return {name: (value.numpy().tobytes(), value.dtype, value.stride()) for name, value in network.state_dict().items()}


# --- directions ----------------------------------------------------------------------------------------------------


def test_a_quadratic_rises_alike_along_every_direction():
    """0.5·w'Hw with H = c·I is 0.5·c·d² at distance d from 0, wherever one goes."""
    c = 3.0
    measures = {"loss": lambda point: Scores(float(0.5 * c * point.flat() @ point.flat()))}
    profile = flatness.walk(Point(), measures, Settings(directions=4, points=11))["loss"]
    assert profile.distances[0] == 0 and profile.distances[-1] == 5
    assert np.allclose(profile.loss, 0.5 * c * profile.distances**2, rtol=1e-12)
    assert profile.rise(2.5) == pytest.approx(0.5 * c * 2.5**2)
    assert np.isnan(profile.accuracy).all() and np.isnan(profile.rise(6))


def test_directions_have_length_one_over_all_weights_and_differ():
    network = trained().network
    one, other = (flatness.direction(network, number, seed=7) for number in (0, 1))
    flat = [torch.cat([value.flatten() for value in found.values()]).double() for found in (one, other)]
    assert len(flat[0]) == sum(weight.numel() for weight in network.parameters())
    assert all(float(value.norm()) == pytest.approx(1, abs=1e-6) for value in flat)
    assert abs(float(flat[0] @ flat[1])) < 0.2


def test_networks_of_one_shape_share_directions_and_seeds_do_not():
    plain, other = trained(0).network, trained(1).network.to(memory_format=torch.contiguous_format)
    one, same, differs = (flatness.direction(net, 2, seed=seed) for net, seed in ((plain, 4), (other, 4), (plain, 5)))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], differs[name]) for name in one)


def test_only_trained_weights_move():
    network = trained(neck="bnneck").network
    assert "neck.weight" in flatness.direction(network, 0) and "neck.bias" not in flatness.direction(network, 0)
    with pytest.raises(UserError, match="no weights"):
        flatness.direction(network.requires_grad_(False), 0)


def test_filters_of_a_direction_have_the_norms_of_the_networks():
    network = trained().network
    weights = dict(network.named_parameters())
    weights["backbone.layers.0.weight"].data[3] = 0
    for name, value in flatness.direction(network, 0, scale="filter").items():
        if weights[name].ndim == 1:
            assert not value.any()
        else:
            assert torch.allclose(value.flatten(1).norm(dim=1), weights[name].flatten(1).norm(dim=1), rtol=1e-5)


def rescaled(network: nn.Module, factor: float) -> nn.Module:
    """The same function: weights before a BatchNorm times ``factor``, its statistics with them."""
    network = copy.deepcopy(network)
    convolution, norm = network.backbone.layers[0], network.backbone.layers[1]
    for value in (convolution.weight.data, convolution.bias.data, norm.running_mean):
        value.mul_(factor)
    norm.running_var.mul_(factor**2)
    return network


@pytest.mark.parametrize("statistics", ["frozen", "renewed"])
def test_only_filter_normalised_curves_ignore_the_scale_before_a_batchnorm(statistics):
    one = trained()
    one.network.backbone.layers[1].eps = 1e-12
    other = SimpleNamespace(**{**vars(one), "network": rescaled(one.network, 64.0)})

    def losses(scale: str) -> list[np.ndarray]:
        settings = Settings(directions=2, points=4, images=24, batch=8, renewal=2, scale=scale, statistics=statistics)
        curves = flatness.compare({"one": one, "other": other}, TRAIN, settings=settings)
        return [curves.profiles[name]["train"].loss for name in ("one", "other")]

    assert np.allclose(*losses("filter"), rtol=1e-5)
    unit = losses("unit")
    assert np.allclose(unit[0][:, 0], unit[1][:, 0], rtol=1e-5)  # the same function, as yet
    assert not np.allclose(unit[0][:, -1], unit[1][:, -1], rtol=5e-4)


# --- statistics of BatchNorm -----------------------------------------------------------------------------------------


def test_renewed_statistics_are_the_means_over_the_batches():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm2d(4)).train()
    network[1].running_mean.fill_(100.0)
    batches = [torch.randn(6, 3, 8, 8, generator=draws(seed)) * (seed + 1) for seed in range(3)]
    flatness.renew_statistics(network, iter(batches))
    with torch.no_grad():
        before = [network[0](batch) for batch in batches]
        means = torch.stack([values.mean((0, 2, 3)) for values in before])
        deviations = torch.stack([values.var((0, 2, 3), unbiased=True) for values in before])
        after = [nn.functional.batch_norm(values, None, None, training=True).relu() for values in before]
    assert torch.allclose(network[1].running_mean, means.mean(0), atol=1e-5)
    assert torch.allclose(network[1].running_var, deviations.mean(0), rtol=1e-5)
    assert torch.allclose(network[4].running_mean, torch.stack([values.mean((0, 2, 3)) for values in after]).mean(0), atol=1e-5)
    assert [layer.momentum for layer in (network[1], network[4])] == [0.1, 0.1]
    assert not any(module.training for module in network.modules())


def test_renewal_takes_whole_batches_of_the_training_images():
    """With as many images as there are, the first point is the network after one pass over all whole batches."""
    one = trained(neck="bnneck")
    images, targets = TRAIN[0][:20], TRAIN[1][:20]
    settings = Settings(directions=1, points=2, batch=8, statistics="renewed")
    found = flatness.compare({"one": one}, (images, targets), settings=settings).profiles["one"]["train"].loss[0, 0]
    network = copy.deepcopy(one.network)
    flatness.renew_statistics(network, [clean(some, SIZE) for some in images[:16].split(8)])
    with torch.no_grad():
        expected = nn.functional.cross_entropy(network(clean(images, SIZE)).logits, targets)
    assert found == pytest.approx(float(expected), rel=1e-5)


# --- what stays, and what is measured ----------------------------------------------------------------------------------


@pytest.mark.parametrize("statistics", ["frozen", "renewed"])
def test_a_network_stays_as_it_was(statistics):
    one = trained()
    one.network.train()
    one.network.backbone.layers[1].eval()
    before, modes = bits(one.network), [module.training for module in one.network.modules()]
    flatness.compare({"one": one}, TRAIN, settings=Settings(directions=1, points=2, batch=8, statistics=statistics))
    assert bits(one.network) == before and [module.training for module in one.network.modules()] == modes


def test_a_network_stays_as_it_was_when_something_fails():
    network = trained().network.train()
    before, seen = bits(network), []

    def fails(moved: nn.Module) -> Scores:
        seen.append(bits(moved))
        if len(seen) == 3:
            raise RuntimeError("broken off")
        return Scores(0.0)

    with pytest.raises(RuntimeError, match="broken off"):
        flatness.walk(network, {"loss": fails}, FEW, prepare=lambda moved: flatness.renew_statistics(moved, [clean(TRAIN[0], SIZE)]))
    assert seen[2] != before and bits(network) == before and network.training


def test_the_curve_begins_with_the_networks_own_scores_and_the_same_seed_draws_it_again():
    one, settings = trained(), Settings(directions=2, points=3, batch=8)
    first, again = (flatness.compare({"one": one}, TRAIN, TEST, settings) for _ in range(2))
    with torch.no_grad():
        logits = one.network(clean(TEST[0], SIZE)).logits
    profile = first.profiles["one"]["test"]
    expected = nn.functional.cross_entropy(logits, torch.from_numpy(TEST[1]))
    assert np.allclose(profile.loss[:, 0], float(expected), rtol=1e-5)
    assert np.allclose(profile.accuracy[:, 0], float((logits.argmax(1).numpy() == TEST[1]).mean()))
    assert np.array_equal(profile.loss, again.profiles["one"]["test"].loss)
    other = flatness.compare({"one": one}, TRAIN, TEST, Settings(directions=2, points=3, batch=8, seed=1))
    assert not np.allclose(other.profiles["one"]["test"].loss[:, 1:], profile.loss[:, 1:])


def test_a_subset_is_drawn_by_the_seed_alone_and_only_it_is_read():
    class Source:
        size = SIZE

        def __len__(self) -> int:
            return len(TRAIN[0])

        def batch(self, indices, stage=0, epoch=0):
            read.extend(indices)
            return TRAIN[0][torch.as_tensor(indices)]

    read: list[int] = []
    one = trained()
    streamed = flatness.compare({"one": one}, (Source(), TRAIN[1]), settings=FEW)
    assert len(read) == len(set(read)) == FEW.images and streamed.images == {"train": FEW.images}
    kept = flatness.compare({"one": one}, TRAIN, settings=FEW)
    assert np.array_equal(streamed.profiles["one"]["train"].loss, kept.profiles["one"]["train"].loss)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((TRAIN[0], TRAIN[1] + 1), "one tells 5 classes apart"),
        ((TRAIN[0], TRAIN[1][:7]), "make no loss"),
        ((TRAIN[0][:0], TRAIN[1][:0]), "make no loss"),
        ((TRAIN[0].float(), TRAIN[1]), "not understood"),
    ],
)
def test_what_has_no_loss_is_refused(train, message):
    with pytest.raises(UserError, match=message):
        flatness.compare({"one": trained()}, train, settings=FEW)
