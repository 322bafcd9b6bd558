import dataclasses

import pytest

from reid_srdl.config import (
    Config,
    EmaConfig,
    LossConfig,
    MetricConfig,
    OptimiserConfig,
    PlanConfig,
    ReferenceConfig,
    ScheduleConfig,
    StageConfig,
    TeacherConfig,
)
from reid_srdl.errors import UserError
from reid_srdl.training.plans import PLANS, build


def plan(name, epochs=200, **more):
    config = Config(plan=PlanConfig(name=name, epochs=epochs, **more))
    held = dataclasses.replace(config.data, holdout_identities=1)  # which early stopping chooses by
    return build(dataclasses.replace(config, data=held, log=dataclasses.replace(config.log, eval_every=1)))


def drops(stages):
    """Epochs of the whole plan at which the rate falls."""
    rates = [rate for stage in stages for rate in stage.rates]
    return [epoch for epoch in range(1, len(rates)) if rates[epoch] < rates[epoch - 1]]


@pytest.mark.parametrize(
    ("epochs", "at"), [(120, [30, 45, 90, 105]), (150, [38, 57, 113, 132]), (200, [50, 75, 150, 175]), (300, [75, 113, 225, 263])]
)
def test_srdl_goes_through_a_whole_schedule_in_each_stage(epochs, at):
    """Eq. 3 and 4; for M = 200 the drops are at 50, 75, 150 and 175."""
    stages = plan("srdl", epochs)
    assert drops(stages) == at
    assert stages[1].rates[0] == stages[0].rates[0] == 0.1
    assert [stage.start for stage in stages] == ["fresh", "fresh"]
    assert stages[0].reference is None and stages[1].reference.stage == "first"


def test_an_odd_total_gives_the_first_stage_the_smaller_half():
    assert [stage.epochs for stage in plan("srdl", 7)] == [3, 4]


@pytest.mark.parametrize("name", sorted(PLANS))
@pytest.mark.parametrize("epochs", [6, 41])
def test_every_plan_spends_its_epochs(name, epochs):
    stages = plan(name, epochs, teacher=TeacherConfig(epochs=3))
    student = [stage for stage in stages if not stage.teaches]
    assert sum(stage.epochs for stage in student) == (epochs // 2 if name == "half" else epochs)
    assert all(len(stage.rates) == stage.epochs for stage in stages)
    names = [stage.name for stage in stages]
    assert len(set(names)) == len(names)
    for number, stage in enumerate(stages):
        if stage.reference is not None and stage.reference.stage is not None:
            assert stage.reference.stage in names[:number]
    assert stages[0].start == "fresh"


def test_vanilla_has_one_schedule_and_half_is_the_first_stage_of_srdl():
    assert drops(plan("vanilla")) == [100, 150]
    assert plan("half") == plan("srdl")[:1]
    assert plan("no_reference")[0] == plan("srdl")[0] and plan("no_reference")[1].reference is None


def test_the_ablations():
    incomplete = plan("stage_incomplete")
    assert drops(incomplete) == [100, 150] and incomplete[1].reference.stage == "first"
    assert plan("no_restart")[1].start == "continue" and plan("no_restart")[1].reference is not None
    assert plan("continued")[1].start == "continue" and plan("continued")[1].reference is None


def test_born_again_imitates_the_generation_before():
    stages = plan("born_again", 10, generations=3)
    assert [stage.epochs for stage in stages] == [3, 3, 4]
    assert [stage.reference and stage.reference.stage for stage in stages] == [None, "generation1", "generation2"]


def test_a_teacher_is_a_stage_with_another_model():
    stages = plan("kd", 10, teacher=TeacherConfig(backbone="wrn", weights="none", epochs=4))
    assert [(stage.name, stage.epochs, stage.model.backbone) for stage in stages] == [("teacher", 4, "wrn"), ("student", 10, "resnet50")]
    assert [stage.teaches for stage in stages] == [True, False]
    assert [stage.model.weights for stage in stages] == ["none", "imagenet"]
    assert [stage.epochs for stage in plan("kd", 10)] == [10, 10], "unless told otherwise, as long as the student"
    (student,) = plan("kd", 10, teacher=TeacherConfig(checkpoint="runs/x"))
    assert student.reference.checkpoint == "runs/x"


OVERRIDES = {"first": StageConfig(rate=0.2, label_smoothing=0.1, scale=0.5), "second": StageConfig(rate=0.05, label_smoothing=0.2, scale=0.25)}


@pytest.mark.parametrize(
    ("name", "more", "taken"),
    [("born_again", {"generations": 3}, ["first", "second", "second"]), ("kd", {}, ["first", "second"]), ("kd", {"teacher": TeacherConfig(checkpoint="runs/x")}, ["second"])],
)
def test_whoever_imitates_takes_what_is_said_of_the_second_stage(name, more, taken):
    stages = plan(name, 12, **more, **OVERRIDES)
    assert [(stage.rates[0], stage.losses.label_smoothing, stage.losses.scale) for stage in stages] == [
        (OVERRIDES[whose].rate, OVERRIDES[whose].label_smoothing, OVERRIDES[whose].scale) for whose in taken
    ]


@pytest.mark.parametrize(
    ("name", "more"), [("srdl", {}), ("no_restart", {}), ("stage_incomplete", {}), ("born_again", {}), ("kd", {}), ("kd", {"teacher": TeacherConfig(checkpoint="runs/x")})]
)
def test_soft_targets_are_made_as_the_run_says_at_its_temperature(name, more):
    config = Config(plan=PlanConfig(name=name, epochs=12, **more), loss=LossConfig(temperature=5.0), reference=ReferenceConfig(flip=True, views=2))
    imitated = [stage.reference for stage in build(config) if stage.reference is not None]
    assert imitated and all((whose.how, whose.temperature) == (config.reference, 5.0) for whose in imitated)


def test_a_stage_may_differ_from_the_run():
    first, second = plan("srdl", 10, first=StageConfig(epochs=4, label_smoothing=0.1), second=StageConfig(rate=0.02, scale=0.25))
    assert (first.epochs, second.epochs) == (4, 6)
    assert (first.rates[0], second.rates[0]) == (0.1, 0.02)
    assert (first.losses.label_smoothing, second.losses.label_smoothing) == (0.1, 0.0)
    assert (first.losses.scale, second.losses.scale) == (1.0, 0.25)


@pytest.mark.parametrize("name", ["srdl", "no_reference", "no_restart", "stage_incomplete"])
def test_a_length_of_the_second_stage_leaves_the_first_the_rest(name):
    assert [stage.epochs for stage in plan(name, 10, second=StageConfig(epochs=3))] == [7, 3]


@pytest.mark.parametrize(
    ("name", "more"),
    [("srld", {}), ("srdl", {"epochs": 1}), ("srdl", {"epochs": 10, "first": StageConfig(epochs=4), "second": StageConfig(epochs=4)}),
     ("srdl", {"epochs": 10, "first": StageConfig(epochs=10)}), ("born_again", {"epochs": 2, "generations": 3})],
)  # fmt: skip
def test_plans_that_cannot_be(name, more):
    with pytest.raises(UserError):
        build(Config(plan=dataclasses.replace(PlanConfig(name=name), **more)))


@pytest.mark.parametrize("name", ["srdl", "half", "no_reference", "no_restart", "continued", "stage_incomplete"])
def test_one_epoch_makes_no_two_stages(name):
    with pytest.raises(UserError, match=f"plan {name} needs at least 2 epochs"):
        plan(name, 1)


@pytest.mark.parametrize(("name", "stage"), [("born_again", "first"), ("kd", "first"), ("kd", "second")])
def test_a_plan_that_has_no_lengths_to_give_takes_none(name, stage):
    with pytest.raises(UserError, match=f"plan {name} takes no --plan.{stage}.epochs"):
        build(Config(plan=PlanConfig(name=name, epochs=12, **{stage: StageConfig(epochs=5)})))


def test_early_stopping_needs_something_to_choose_by():
    held = dataclasses.replace(Config().data, holdout_identities=2)
    log = dataclasses.replace(Config().log, eval_every=1)
    (stage,) = build(Config(plan=PlanConfig(name="early_stopped"), data=held, log=log))
    assert stage.keep == "best" and stage.epochs == 120
    for wrong in (Config(data=held), Config(log=log), Config(data=held, log=dataclasses.replace(log, eval_split="test")), Config(data=held, log=dataclasses.replace(log, eval_every=121))):
        with pytest.raises(UserError, match="held-out"):
            build(dataclasses.replace(wrong, plan=PlanConfig(name="early_stopped")))


def test_a_ramp_may_be_a_share_of_the_stage():
    _, second = build(Config(plan=PlanConfig(epochs=60), loss=dataclasses.replace(Config().loss, ramp_share=0.27)))
    assert second.losses.ramp_epochs == 8


@pytest.mark.parametrize("name", sorted(PLANS))
def test_every_plan_goes_with_the_strong_recipe(name):
    held = dataclasses.replace(Config().data, holdout_identities=1)
    config = Config(
        plan=PlanConfig(name=name, epochs=40), data=held, log=dataclasses.replace(Config().log, eval_every=1), metric=MetricConfig("triplet", margin=0.3),
        ema=EmaConfig(0.99), optimiser=OptimiserConfig("adam", frozen_epochs=2, clip=5.0), schedule=ScheduleConfig("cosine", warmup_epochs=3),
    )  # fmt: skip
    for stage in build(config):
        assert (stage.metric, stage.ema) == (config.metric, config.ema)
        assert dataclasses.replace(stage.optimiser, rate=0.1) == dataclasses.replace(config.optimiser, rate=0.1)
        if name != "stage_incomplete":
            assert stage.rates[0] == pytest.approx(0.01) and stage.rates[3] == 0.1 > stage.rates[4], "each stage has its own warm-up"
    if name == "stage_incomplete":
        rates = [rate for stage in build(config) for rate in stage.rates]
        assert rates == list(build(dataclasses.replace(config, plan=PlanConfig(name="vanilla", epochs=40)))[0].rates)


@pytest.mark.parametrize(
    "more",
    [{"schedule": ScheduleConfig(warmup_epochs=5)}, {"optimiser": OptimiserConfig(frozen_epochs=5)},
     {"metric": MetricConfig("triplet"), "loss": LossConfig(cross_entropy=0.0)}],
)  # fmt: skip
def test_beginnings_that_take_a_whole_stage_and_beliefs_that_nobody_trained(more):
    with pytest.raises(UserError, match="stage first|nothing trains the classifier"):
        build(Config(plan=PlanConfig(epochs=10), **more))
    assert build(Config(plan=PlanConfig(name="vanilla", epochs=10), **more))


@pytest.mark.parametrize(("share", "epochs"), [(0.29, 9), (0.25, 8)])
def test_a_ramp_of_a_share_is_rounded_to_the_nearest_epoch(share, epochs):
    _, second = build(Config(plan=PlanConfig(epochs=60), loss=LossConfig(ramp_share=share)))
    assert second.losses.ramp_epochs == epochs


@pytest.mark.parametrize("asked", [{"schedule": ScheduleConfig(warmup_epochs=5)}, {"optimiser": OptimiserConfig(frozen_epochs=5)}])
def test_a_stage_that_is_too_short_for_its_beginning_is_told_by_which_option_it_is_made_longer(asked):
    for teacher, epochs, flag in ((4, 9, "plan.teacher.epochs"), (9, 4, "plan.epochs")):
        with pytest.raises(UserError, match=rf"of stage {'teacher' if teacher == 4 else 'student'}\. Lower --\S+, or raise --{flag}: each stage"):
            build(Config(plan=PlanConfig(name="kd", epochs=epochs, teacher=TeacherConfig(epochs=teacher)), **asked))
