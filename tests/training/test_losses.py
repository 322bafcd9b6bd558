import math

import pytest
import torch

from reid_srdl.config import LossConfig
from reid_srdl.errors import UserError
from reid_srdl.training.losses import imitation_loss, imitation_weight, stage_loss


def drawn(seed=0, rows=6, classes=5):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=g, dtype=torch.float64, requires_grad=True)
    reference = 2 * torch.randn(rows, classes, generator=g, dtype=torch.float64)
    return logits, torch.randint(0, classes, (rows,), generator=g), reference


@pytest.mark.parametrize("temperature", [1.0, 3.0, 7.0])
def test_gradient_of_eq_7_is_the_closed_form(temperature):
    """(softmax(z) - y) + T (softmax(z/T) - q) for each image, over the batch size; at weight T squared."""
    logits, targets, reference = drawn()
    target = torch.softmax(reference / temperature, 1)
    current = torch.log_softmax(logits / temperature, 1)
    kl = (target * (target.log() - current)).sum(1).mean()
    loss = torch.nn.functional.cross_entropy(logits, targets) + temperature**2 * kl
    (expected,) = torch.autograd.grad(loss, logits)
    hot = torch.nn.functional.one_hot(targets, 5).double()
    closed = (torch.softmax(logits, 1) - hot + temperature * (torch.softmax(logits / temperature, 1) - target)) / len(targets)
    assert torch.allclose(expected, closed, atol=1e-12)
    (ours,) = torch.autograd.grad(stage_loss(logits, targets, reference, LossConfig(temperature=temperature)).total, logits)
    assert torch.allclose(ours, closed, atol=1e-12)


def test_the_divergence_is_of_the_reference_from_the_current():
    logits, _, reference = drawn(1)
    p, q = torch.softmax(reference / 3, 1), torch.softmax(logits / 3, 1)
    assert imitation_loss(logits, reference, 3.0).item() == pytest.approx((p * (p / q).log()).sum(1).mean().item(), rel=1e-6)
    assert imitation_loss(logits, logits, 3.0).item() == pytest.approx(0, abs=1e-7)


def test_soft_targets_permuted_by_one_are_another_loss():
    logits, targets, reference = drawn(2)
    right = stage_loss(reference, targets, reference, LossConfig())
    wrong = stage_loss(reference, targets, reference.roll(1, 0), LossConfig())
    assert right.imitation.item() == pytest.approx(0, abs=1e-7) and wrong.imitation.item() > 0.05


def test_no_gradient_reaches_the_reference():
    logits, targets, reference = drawn(3)
    reference.requires_grad_(True)
    stage_loss(logits, targets, reference, LossConfig()).total.backward()
    assert reference.grad is None


def test_weight_scale_and_smoothing():
    logits, targets, reference = drawn(4)
    plain = stage_loss(logits, targets, reference, LossConfig())
    ce = torch.nn.functional.cross_entropy(logits, targets).item()
    kl = plain.imitation.item()
    assert plain.total.item() == pytest.approx(ce + 9 * kl, rel=1e-6)
    assert plain.cross_entropy.item() == pytest.approx(ce, rel=1e-6)
    scaled = stage_loss(logits, targets, reference, LossConfig(scale=0.25, imitation=2.0))
    assert scaled.total.item() == pytest.approx(0.25 * (ce + 2 * kl), rel=1e-6)
    smooth = stage_loss(logits, targets, None, LossConfig(label_smoothing=0.1))
    expected = 0.9 * ce - 0.1 * torch.log_softmax(logits, 1).mean().item()
    assert smooth.total.item() == pytest.approx(expected, rel=1e-6)
    assert smooth.cross_entropy.item() == pytest.approx(ce, rel=1e-6)


def test_the_ramp():
    config = LossConfig(ramp_epochs=10)
    assert imitation_weight(config, 0) == pytest.approx(9 * math.exp(-5))
    assert imitation_weight(config, 5) == pytest.approx(9 * math.exp(-5 / 4))
    assert imitation_weight(config, 10) == imitation_weight(LossConfig(), 0) == 9


def test_the_cross_entropy_s_weight():
    logits, targets, reference = drawn(5)
    plain = stage_loss(logits, targets, reference, LossConfig())
    lighter = stage_loss(logits, targets, reference, LossConfig(cross_entropy=0.25, scale=2.0))
    assert lighter.total.item() == pytest.approx(2 * (0.25 * plain.cross_entropy.item() + 9 * plain.imitation.item()), rel=1e-6)
    assert lighter.cross_entropy.item() == plain.cross_entropy.item()
    none = stage_loss(logits, targets, None, LossConfig(cross_entropy=0.0)).total
    assert none.item() == 0 and none.requires_grad, "DDP waits for the classifier's gradient, be it zero"


def test_logits_of_half_precision_lose_nothing_more():
    drawn = torch.Generator().manual_seed(0)
    reference = torch.randn(64, 100, generator=drawn)
    near = (reference + 0.1 * torch.randn(64, 100, generator=drawn)).bfloat16()
    half, whole = near.clone().requires_grad_(), near.float().requires_grad_()
    imitation_loss(half, reference, 3.0).backward()
    imitation_loss(whole, reference, 3.0).backward()
    assert torch.equal(half.grad, whole.grad.bfloat16())


def test_soft_targets_of_other_images_and_temperatures_that_are_none():
    with pytest.raises(UserError, match=r"logits \(4, 3\) cannot imitate soft targets \(1, 3\)"):
        imitation_loss(torch.zeros(4, 3), torch.zeros(1, 3), 3.0)
    with pytest.raises(UserError, match="the temperature is 0"):
        imitation_loss(torch.zeros(4, 3), torch.zeros(4, 3), 0)
