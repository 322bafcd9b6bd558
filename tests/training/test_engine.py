import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reid_srdl import devices
from reid_srdl.config import AugmentConfig, Config, PlanConfig
from reid_srdl.data.augment import Augment
from reid_srdl.data.images import MemoryImages
from reid_srdl.data.loader import Loader
from reid_srdl.data.samplers import RandomSampler
from reid_srdl.models import build
from reid_srdl.training import plans
from reid_srdl.training.engine import StageTrainer
from reid_srdl.training.reference import Reference

IMAGES = torch.randint(0, 256, (20, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TARGETS = np.arange(20) % 4
CPU = torch.device("cpu")


def loader():
    return Loader(MemoryImages(IMAGES), TARGETS, RandomSampler(20, 10, 0), Augment(AugmentConfig(), (32, 16)), seed=0)


def trainer(stage, number=0, reference=None):
    torch.manual_seed(0)
    return StageTrainer(stage, number, build("small_without_norm", 4), loader(), devices.launch(CPU, "fp32"), reference=reference, seed=0)


def run(made, watch):
    return list(made.epochs(watch, save=lambda: None, save_every=1e9))


def test_a_step_is_sgd_on_eq_7(watch):
    """One epoch of two steps, done again by hand with torch's own SGD."""
    config = Config(plan=PlanConfig(epochs=2))
    stage = dataclasses.replace(plans.build(config)[1], rates=(0.05,))
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(1)).half()
    made = trainer(stage, 1, Reference(logits, None, 4, "hash", "how"))
    rows = run(made, watch)
    torch.manual_seed(0)
    network = build("small_without_norm", 4).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=2e-4)
    losses = []
    for batch in loader().epoch(1, 0):
        z = network(batch.images).logits
        q = F.log_softmax(logits[batch.indices].float() / 3, 1)
        loss = F.cross_entropy(z, batch.targets) + 9 * (q.exp() * (q - F.log_softmax(z / 3, 1))).sum(1).mean()
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(float(loss.detach()))
    for ours, theirs in zip(made.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert rows[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_each_epoch_has_its_rate(watch):
    stage = plans.build(Config(plan=PlanConfig(name="vanilla", epochs=4)))[0]
    rows = run(trainer(stage), watch)
    assert [row["rate"] for row in rows] == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]


def test_the_caller_s_random_state_is_left_alone(watch):
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0])
    before = torch.get_rng_state()
    run(made, watch)
    assert torch.equal(before, torch.get_rng_state())
