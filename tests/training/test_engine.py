import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reid_srdl import devices
from reid_srdl.config import (
    AugmentConfig,
    Config,
    EmaConfig,
    LossConfig,
    MetricConfig,
    OptimiserConfig,
    PlanConfig,
    ScheduleConfig,
)
from reid_srdl.data.augment import Augment
from reid_srdl.data.images import MemoryImages
from reid_srdl.data.loader import Loader
from reid_srdl.data.samplers import IdentitySampler, RandomSampler
from reid_srdl.models import build
from reid_srdl.training import plans
from reid_srdl.training.engine import NonFiniteLoss, StageTrainer
from reid_srdl.training.reference import Reference

IMAGES = torch.randint(0, 256, (20, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TARGETS = np.arange(20) % 4


def loader(pairs=False, rows=20, batch=10):
    """Batches of 10 images; with ``pairs``, of 2 images of 4 people."""
    sampler = IdentitySampler(TARGETS[:rows], 8, 2, 0) if pairs else RandomSampler(rows, batch, 0)
    return Loader(MemoryImages(IMAGES[:rows]), TARGETS[:rows], sampler, Augment(AugmentConfig(), (32, 16)), seed=0)


def trainer(stage, number=0, reference=None, backbone="small_without_norm", pairs=False, rows=20, on=None):
    torch.manual_seed(0)
    return StageTrainer(stage, number, build(backbone, 4), loader(pairs, rows), on or devices.launch(torch.device("cpu"), "fp32"), reference=reference, seed=0)


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


def everything(**more):
    """A stage with everything switched on, and what it learns from."""
    config = Config(
        plan=PlanConfig(epochs=6), metric=MetricConfig("triplet"), ema=EmaConfig(decay=0.8),
        optimiser=OptimiserConfig(name="adamw", rate=0.01, spare_norms=True, backbone_rate=0.3, frozen_epochs=1, clip=0.5, accumulate=2),
        schedule=ScheduleConfig("cosine", warmup_epochs=1), loss=LossConfig(label_smoothing=0.1), **more,
    )  # fmt: skip
    return plans.build(config)[1], Reference(torch.randn(20, 4, generator=torch.Generator().manual_seed(1)).half(), None, 4, "hash", "how")


def flat(network):
    return torch.cat([value.detach().double().flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("at", [(1, 0), (0, 1), (2, 1)])
def test_resumed_with_everything_switched_on_the_end_is_bit_identical(watch, at):
    """At an epoch's end and inside epochs, with the backbone frozen and thawed; with BatchNorm and dropout."""
    stage, reference = everything()
    whole = trainer(stage, 1, reference, backbone="small", pairs=True)
    rows = run(whole, watch)
    assert whole.average is not None and (flat(whole.network) != flat(whole.average.network)).any()

    broken, saved = trainer(stage, 1, reference, backbone="small", pairs=True), []

    def save():
        if (broken.progress.epoch, broken.progress.step) == at:
            saved.append(copy.deepcopy(broken.state()))

    for row in broken.epochs(watch, save=save, save_every=-1):
        del row
        save()
    (state,) = saved
    again = trainer(stage, 1, reference, backbone="small", pairs=True)
    with torch.no_grad():
        for parameter in again.network.parameters():
            parameter.zero_()
    again.restore(state)
    more = run(again, watch)
    assert torch.equal(flat(whole.network), flat(again.network)) and torch.equal(flat(whole.average.network), flat(again.average.network))
    assert [{k: v for k, v in row.items() if k in ("loss", "metric")} for row in rows[at[0] :]] == [{k: row[k] for k in ("loss", "metric")} for row in more]


def test_the_speed_of_an_epoch_that_was_saved_behind_its_last_step_is_that_of_its_steps(watch):
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0])
    made.restore({**made.state(), "step": 2, "images": 20, "seconds": 4.0})
    assert run(made, watch)[0]["images_per_s"] == 5


def test_a_batch_in_parts_makes_the_step_of_the_whole(watch):
    """In a network without BatchNorm; 10 images in 3 parts, which are not equal."""
    ends = []
    for accumulate in (1, 3):
        config = Config(plan=PlanConfig(epochs=4), optimiser=OptimiserConfig(accumulate=accumulate))
        stage = dataclasses.replace(plans.build(config)[1], rates=(0.05, 0.05))
        reference = Reference(torch.randn(20, 4, generator=torch.Generator().manual_seed(1)).half(), None, 4, "hash", "how")
        made = trainer(stage, 1, reference)
        rows = run(made, watch)
        ends.append((flat(made.network), [(row["loss"], row["imitation"], row["accuracy"]) for row in rows]))
    (one, rows), (other, others) = ends
    assert torch.allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(rows, others, rtol=1e-5)


def test_the_metric_term_is_added_and_logged_where_it_is_used(watch):
    config = Config(plan=PlanConfig(name="vanilla", epochs=1), metric=MetricConfig("triplet", weight=0.5), loss=LossConfig(scale=0.25))
    (with_metric,) = run(trainer(plans.build(config)[0], pairs=True), watch)
    (without,) = run(trainer(plans.build(dataclasses.replace(config, metric=MetricConfig()))[0], pairs=True), watch)
    assert "metric" not in without and with_metric["metric"] > 0
    assert with_metric["loss"] == pytest.approx(0.25 * with_metric["cross_entropy"] + 0.5 * with_metric["metric"], rel=1e-6)


def test_a_metric_term_changes_what_the_backbone_learns_and_not_what_the_classifier_does_at_first(watch):
    """Triplets act on the features; one step of SGD."""
    images, ends = 10, []
    for metric in (MetricConfig(), MetricConfig("triplet")):
        stage = dataclasses.replace(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1), metric=metric))[0], rates=(0.05,))
        made = trainer(stage, pairs=True, rows=images)
        run(made, watch)
        ends.append(made.network)
    assert torch.equal(ends[0].classifier.weight, ends[1].classifier.weight)
    assert not torch.allclose(ends[0].backbone.layers[4].weight, ends[1].backbone.layers[4].weight, atol=1e-5)


def test_the_gradient_is_cut_to_its_length(watch):
    """One step of plain SGD moves the weights by rate times the clipped gradient."""
    ends = {}
    for clip in (None, 1e9, 0.01):
        config = Config(plan=PlanConfig(name="vanilla", epochs=1), optimiser=OptimiserConfig(momentum=0.0, weight_decay=0.0, clip=clip))
        made = trainer(plans.build(config)[0], rows=10)
        before = flat(made.network)
        run(made, watch)
        ends[clip] = flat(made.network) - before
    assert torch.equal(ends[None], ends[1e9]) and ends[None].norm() > 0.1 * 0.01
    assert ends[0.01].norm().item() == pytest.approx(0.1 * 0.01, rel=1e-2)
    assert torch.allclose(ends[0.01] / ends[0.01].norm(), ends[None] / ends[None].norm(), atol=1e-4)


def test_the_backbone_is_frozen_for_its_epochs_and_then_learns(watch):
    config = Config(plan=PlanConfig(name="vanilla", epochs=3), optimiser=OptimiserConfig(frozen_epochs=2))
    made = trainer(plans.build(config)[0], backbone="small")
    begun = [flat(made.network.backbone), flat(made.network.classifier)]
    seen = []
    for _ in made.epochs(watch, save=lambda: None, save_every=1e9):
        seen.append((flat(made.network.backbone), flat(made.network.classifier)))
    assert all(torch.equal(backbone, begun[0]) for backbone, _ in seen[:2]), "weight decay and running statistics included"
    assert not torch.equal(seen[2][0], begun[0])
    assert not torch.equal(seen[0][1], begun[1]) and not torch.equal(seen[1][1], seen[0][1])


def test_the_average_is_of_the_weights_after_each_step(watch):
    config = Config(plan=PlanConfig(name="vanilla", epochs=2), ema=EmaConfig(decay=0.5))
    made = trainer(plans.build(config)[0])
    after = []

    class Noting(type(watch)):
        def step_ends(self, images, loss):
            after.append(flat(made.network))

    run(made, Noting())
    weights = torch.tensor([0.5**3, 0.5**2, 0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(flat(made.average.network), (weights[:, None] * torch.stack(after)).sum(0) / weights.sum(), atol=1e-6)
    assert made.handed_on is made.average.network
    unused = dataclasses.replace(plans.build(config)[0], ema=EmaConfig(decay=0.5, use=False))
    assert (other := trainer(unused)).handed_on is other.network


def test_rates_go_to_their_groups(watch):
    config = Config(plan=PlanConfig(name="vanilla", epochs=2), optimiser=OptimiserConfig(rate=0.1, backbone_rate=0.2), schedule=ScheduleConfig("cosine"))
    made = trainer(plans.build(config)[0])
    run(made, watch)
    assert [group["lr"] for group in made.optimiser.param_groups] == pytest.approx([0.1 * 0.5 * 0.2, 0.1 * 0.5])


def in_fp16(scale):
    """On the CPU with the parts that a GPU has, since CUDA is not needed to see that they are wired up."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision import MixedPrecision

    scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=3)
    made = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    made.launch()
    return made, scaler


def test_a_step_that_fp16_leaves_out_is_no_part_of_the_average(watch):
    stage = plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1), ema=EmaConfig(decay=0.5), optimiser=OptimiserConfig(rate=0.01)))[0]
    for scale, counted in ((2.0**60, 0), (2.0**8, 2)):
        made = trainer(stage, on=in_fp16(scale)[0])
        run(made, watch)
        assert int(made.average.state_dict()["n_averaged"]) == counted


@pytest.mark.parametrize(("what", "saved"), [("weights", []), ("sums", [1])])
def test_a_loss_that_is_no_number_is_noticed_before_a_state_is_saved(what, saved, watch, monkeypatch):
    """Also where it is looked at now and then, as on a GPU, which does not know the batch. Each step spoils the weights; or only the sums, once they are saved."""
    made, states = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0]), []
    made.loader, made._look_every = loader(batch=5), 50
    if what == "weights":
        monkeypatch.setattr(watch, "step_ends", lambda *_: made.network.classifier.weight.data.fill_(torch.nan))
    with pytest.raises(NonFiniteLoss) as caught:
        list(made.epochs(watch, save=lambda: states.append(made.progress.step) or made.progress.sums.fill_(torch.nan), save_every=-1))
    assert states == saved and (what == "weights" or caught.value.indices == [])


def test_fp16_scales_the_loss_and_a_resume_goes_on_with_its_factor(watch):
    stage = plans.build(Config(plan=PlanConfig(name="vanilla", epochs=2), optimiser=OptimiserConfig(clip=1.0, rate=0.01)))[0]
    on, scaler = in_fp16(2.0**60)
    made = trainer(stage, on=on)
    before = flat(made.network)
    first = next(iter(made.epochs(watch, save=lambda: None, save_every=1e9)))
    assert torch.equal(before, flat(made.network)) and scaler.get_scale() == 2.0**58, "two steps overflow, are left out, and halve the factor"
    assert np.isfinite(first["loss"])
    scaler.update(2.0**8)
    state = made.state()
    assert state["scaling"]["scale"] == 2.0**8
    other, fresh = in_fp16(2.0**60)
    again = trainer(stage, on=other)
    again.restore(state)
    assert fresh.get_scale() == 2.0**8
    run(again, watch)
    assert not torch.equal(before, flat(again.network))


def test_imitation_ramps_up_from_epoch_to_epoch(watch):
    (_, stage) = plans.build(Config(plan=PlanConfig(epochs=8), loss=LossConfig(ramp_share=0.5)))
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(1)).half()
    rows = run(trainer(stage, 1, Reference(logits, None, 4, "hash", "how")), watch)
    weights = [9 * math.exp(-5), 9 * math.exp(-5 / 4), 9.0, 9.0]
    assert min(row["imitation"] for row in rows) > 0.01
    assert [row["loss"] for row in rows] == pytest.approx([row["cross_entropy"] + weight * row["imitation"] for weight, row in zip(weights, rows, strict=True)])


def dropped(number, watch, rank=0, world=1):
    """What dropout leaves out at each step of two epochs of a stage."""
    made, seen = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=2)))[0], number, backbone="small"), []
    made.loader.rank, made.loader.world = rank, world
    dropout = next(module for module in made.network.modules() if isinstance(module, torch.nn.Dropout))
    dropout.register_forward_pre_hook(lambda module, given: torch.ones_like(given[0]))
    dropout.register_forward_hook(lambda module, given, out: seen.append(out == 0))
    run(made, watch)
    return seen


def test_each_step_epoch_and_stage_has_its_own_noise_and_the_same_one_again(watch):
    first, second, again = dropped(0, watch), dropped(1, watch), dropped(0, watch)
    assert len(first) == len(second) == 4 and all(mask.any() for mask in first)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(first + second, 2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_time_before_a_resume_is_part_of_its_epoch_and_of_no_other(watch):
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=2)))[0])
    made.restore({**made.state(), "step": 1, "images": 10, "seconds": 1000.0, "waited": 900.0})
    first, second = run(made, watch)
    assert first["seconds"] > 1000 > second["seconds"] > 0
    assert 900 < first["waited"] <= first["seconds"] and second["waited"] <= second["seconds"]


def test_a_loss_that_is_no_number_at_the_end_of_an_epoch_is_noticed_with_it(watch):
    """On a GPU one step of many is looked at; the last of an epoch is, before the caller saves."""
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0])
    made._look_every = 50

    class Spoiling(type(watch)):
        def step_ends(self, images, loss):
            with torch.no_grad():
                made.network.classifier.weight.fill_(torch.nan)

    with pytest.raises(NonFiniteLoss):
        run(made, Spoiling())


def test_an_infinite_loss_is_noticed_too(watch):
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1)))[0])
    made.progress.sums[0] = math.inf
    with pytest.raises(NonFiniteLoss):
        run(made, watch)


def test_each_process_has_noise_of_its_own(watch):
    first, second = (dropped(0, watch, rank, 2) for rank in range(2))
    assert first[0].any() and not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_shares_of_two_processes_make_the_step_of_the_whole(watch):
    """Their mean, as DDP takes it, of 4 and 5 images of a batch; without BatchNorm."""
    config = Config(plan=PlanConfig(name="vanilla", epochs=1), optimiser=OptimiserConfig(momentum=0.0, weight_decay=0.0))
    steps = []
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        made = trainer(plans.build(config)[0], rows=9)
        made.loader.rank, made.loader.world = rank, world
        before = flat(made.network)
        run(made, watch)
        steps.append(flat(made.network) - before)
    assert steps[0].norm() > 1e-3 and torch.allclose((steps[1] + steps[2]) / 2, steps[0], atol=1e-6)


def test_weights_that_the_very_last_step_breaks_are_not_handed_on(watch):
    """The loss that it began with was a number, and there is no later one."""
    made = trainer(dataclasses.replace(plans.build(Config(plan=PlanConfig(epochs=2)))[0], rates=(1e39,)), rows=10)
    with pytest.raises(NonFiniteLoss, match="the weights are not finite at epoch 0, step 0") as caught:
        run(made, watch)
    assert len(caught.value.indices) == 10 and math.isfinite(made.progress.means()[0])
