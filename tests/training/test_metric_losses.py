import math
from typing import get_args, get_type_hints

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reid_srdl.config import MetricConfig
from reid_srdl.models import IdentityClassifier
from reid_srdl.models.classifier import Output
from reid_srdl.training import metric_losses


def network(neck="none"):
    torch.manual_seed(0)
    return IdentityClassifier(nn.Identity(), 8, 5, neck)


def drawn(people=4, each=3, seed=1):
    """Features ``(B, 8)`` in double precision, and targets in a mixed order."""
    g = torch.Generator().manual_seed(seed)
    targets = torch.arange(people).repeat_interleave(each)[torch.randperm(people * each, generator=g)]
    return torch.randn(people * each, 8, generator=g, dtype=torch.float64, requires_grad=True), targets


def output(features, embedding=None, logits=None):
    return Output(features if embedding is None else embedding, features, logits)


def loss(name, features, targets, **more):
    return metric_losses.build(MetricConfig(name, **more), network())(output(features), targets)


def test_every_name_of_the_configuration_is_there():
    assert set(get_args(get_type_hints(MetricConfig)["name"])) == {"none", *metric_losses.LOSSES}
    assert metric_losses.build(MetricConfig(), network()) is None


def batch_hard(features, targets, margin):
    """Hermans et al. 2017, Eq. 5, letter by letter."""
    terms = []
    for a in range(len(features)):
        positive = max((features[a] - features[p]).norm() for p in range(len(features)) if targets[p] == targets[a] and p != a)
        negative = min((features[a] - features[n]).norm() for n in range(len(features)) if targets[n] != targets[a])
        difference = positive - negative
        terms.append(F.softplus(difference) if margin is None else (margin + difference).clamp(min=0))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("margin", [None, 0.3, 2.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_triplets_are_batch_hard(margin, seed):
    features, targets = drawn(seed=seed)
    ours, literal = loss("triplet", features, targets, margin=margin), batch_hard(features, targets, margin)
    assert ours.item() == pytest.approx(literal.item(), rel=1e-9)
    (one,), (other,) = torch.autograd.grad(ours, features), torch.autograd.grad(literal, features)
    assert torch.allclose(one, other, atol=1e-9)


def test_triplets_that_are_right_by_the_margin_count_as_nought_and_not_as_absent():
    """The mean is over the batch: the library's default would be over those that are wrong."""
    features = torch.tensor([[0.0], [0.1], [9.0], [9.1], [5.0], [4.0]], dtype=torch.float64) @ torch.eye(1, 8, dtype=torch.float64)
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    features.requires_grad_(True)
    assert loss("triplet", features, targets, margin=5.0).item() == pytest.approx(batch_hard(features, targets, 5.0).item())
    assert loss("triplet", features, targets, margin=0.3).item() == 0


def test_circle_is_eq_6_of_its_paper():
    features, targets = drawn()
    m, gamma = 0.25, 128.0
    unit = F.normalize(features, dim=1)
    similarity, same = unit @ unit.T, targets[:, None] == targets
    terms = []
    for a in range(len(features)):
        positive, negative = similarity[a][same[a] & (torch.arange(len(features)) != a)], similarity[a][~same[a]]
        up = gamma * (negative + m).clamp(min=0).detach() * (negative - m)
        down = -gamma * (1 + m - positive).clamp(min=0).detach() * (positive - (1 - m))
        terms.append(F.softplus(torch.logsumexp(up, 0) + torch.logsumexp(down, 0)))
    literal = torch.stack(terms).mean()
    ours = loss("circle", features, targets)
    assert ours.item() == pytest.approx(literal.item(), rel=1e-6)
    assert torch.allclose(torch.autograd.grad(ours, features)[0], torch.autograd.grad(literal, features)[0], atol=1e-6)


def test_circle_counts_the_images_that_have_nothing_to_learn_any_more():
    """Far-off classes have a loss of exactly 0 at a large scale; the weight of the others must not depend on how many these are."""
    targets = torch.arange(4).repeat_interleave(2)
    solved = F.one_hot(targets, 8).double()
    unsolved = F.one_hot(torch.tensor([4, 5, 5, 4]), 8).double()
    features, labels = torch.cat([solved, unsolved]).requires_grad_(), torch.cat([targets, torch.tensor([4, 4, 5, 5])])
    whole, alone = loss("circle", features, labels, scale=1024.0), loss("circle", features[8:], labels[8:], scale=1024.0)
    assert alone > 1 and whole.item() == pytest.approx(alone.item() * 4 / 12)


@pytest.mark.parametrize(("name", "target"), [("arcface", lambda c: torch.cos(torch.acos(c) + 0.5)), ("cosface", lambda c: c - 0.35)])
def test_margins_on_the_classifier_s_angles(name, target):
    made, (features, targets) = network().double(), drawn()
    made_loss = metric_losses.build(MetricConfig(name, scale=16.0), made)
    ours = made_loss(output(torch.zeros(12, 8), embedding=features), targets)
    cosine = F.normalize(features, dim=1) @ F.normalize(made.classifier.weight, dim=1).T
    hot = F.one_hot(targets, 5).bool()
    literal = F.cross_entropy(16 * torch.where(hot, target(cosine), cosine), targets)
    assert ours.item() == pytest.approx(literal.item(), rel=1e-6)
    assert torch.allclose(torch.autograd.grad(ours, features, retain_graph=True)[0], torch.autograd.grad(literal, features, retain_graph=True)[0], atol=1e-6)
    ours.backward()
    (literal_gradient,) = torch.autograd.grad(literal, made.classifier.weight)
    # As if the vectors had length 1; theirs is only a factor of each row.
    lengths = made.classifier.weight.norm(dim=1, keepdim=True)
    assert torch.allclose(made.classifier.weight.grad, literal_gradient * lengths, atol=1e-6)


def test_a_classifier_that_is_drawn_small_gets_no_huge_gradient():
    """BNNeck draws it from N(0, 0.001²): an angle's gradient would be hundreds of times as large as that of the other classifier."""
    features, targets = drawn()
    sizes = []
    for neck in ("none", "bnneck"):
        made = network(neck).double()
        metric_losses.build(MetricConfig("arcface"), made)(output(features), targets).backward()
        sizes.append(made.classifier.weight.grad.norm().item())
    assert sizes[1] < 3 * sizes[0]


@pytest.mark.parametrize("name", ["arcface", "cosface"])
def test_losses_of_angles_have_nothing_of_their_own_and_draw_nothing(name):
    made = network()
    before, state = torch.get_rng_state(), set(made.state_dict())
    built = metric_losses.build(MetricConfig(name), made)
    assert torch.equal(before, torch.get_rng_state()) and set(made.state_dict()) == state
    features, targets = drawn()
    first = built(output(features.float()), targets).item()
    with torch.no_grad():
        made.classifier.weight.copy_(made.classifier.weight.roll(1, 0))
    assert built(output(features.float()), targets).item() != pytest.approx(first, rel=1e-3), "it must look at the network's classifier as it is now"


def test_the_margin_is_in_radians():
    made, (features, targets) = network().double(), drawn()
    small, large = (metric_losses.build(MetricConfig("arcface", margin=m), made)(output(features), targets).item() for m in (0.0, math.pi / 6))
    cosine = F.normalize(features, dim=1) @ F.normalize(made.classifier.weight, dim=1).T
    assert small == pytest.approx(F.cross_entropy(64 * cosine, targets).item(), rel=1e-6) and large > small


@pytest.mark.parametrize("name", ["triplet", "circle"])
def test_pairs_are_compared_before_the_neck(name):
    features, targets = drawn()
    made = metric_losses.build(MetricConfig(name), network())
    assert made(output(features, embedding=torch.zeros_like(features)), targets).item() == made(output(features), targets).item()
    assert MetricConfig(name).pairs and not MetricConfig("arcface").pairs and not MetricConfig().pairs


def test_the_mean_of_triplets_is_over_all_of_them():
    """Some are right by the margin: the library's default would leave them out of the mean."""
    features = torch.tensor([[0.0], [0.1], [9.0], [9.1], [5.0], [4.0]], dtype=torch.float64) @ torch.eye(1, 8, dtype=torch.float64)
    targets = torch.tensor([0, 0, 1, 1, 2, 2])
    literal = batch_hard(features, targets, 3.0)
    assert 0 < literal.item() and loss("triplet", features, targets, margin=3.0).item() == pytest.approx(literal.item())
