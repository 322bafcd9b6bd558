import dataclasses

import pytest

from reid_srdl import runs
from reid_srdl.config import Config, ModelConfig, PlanConfig, TeacherConfig
from reid_srdl.experiments import cost
from reid_srdl.models.cost import Cost
from reid_srdl.training import plans
from reid_srdl.training.run import train

SMALL = Config(model=ModelConfig(backbone="resnet32", weights="none"), data=dataclasses.replace(Config().data, height=32, width=32))
ONE = 68_862_592
"""Forward MACs of ResNet-32 with 10 classes at 32x32."""


def planned(name, epochs=200, **more):
    config = dataclasses.replace(SMALL, plan=PlanConfig(name=name, epochs=epochs, **more))
    return cost.planned(config, plans.build(config), 50_000, 10)


def test_vanilla_pays_for_its_epochs_and_srdl_for_one_pass_more():
    vanilla, srdl = planned("vanilla"), planned("srdl")
    assert vanilla == Cost(ONE * 200 * 50_000, 0)
    assert srdl == Cost(ONE * 200 * 50_000, ONE * 50_000)
    assert planned("half").total == vanilla.total // 2
    assert planned("born_again", generations=3).extraction == 2 * ONE * 50_000


def test_a_teacher_counts_with_its_own_network():
    kd = planned("kd", teacher=TeacherConfig(backbone="resnet110", weights="none", epochs=100))
    big = cost.macs_of(ModelConfig(backbone="resnet110", weights="none"), 10, (32, 32))
    assert kd == Cost(ONE * 200 * 50_000, big * 50_000, big * 100 * 50_000)
    assert big > 3 * ONE


@pytest.mark.parametrize("name", ["srdl", "vanilla"])
def test_a_finished_run_costs_what_was_planned(config, people, watch, name):
    config = dataclasses.replace(config, plan=dataclasses.replace(config.plan, name=name))
    folder = train(config, people, watch=watch)
    facts = runs.read_facts(folder)
    assert cost.of_run(folder) == cost.planned(config, plans.build(config), facts["images"], facts["identities"])


def test_a_finished_teacher_counts_with_what_its_run_cost(config, people, watch, tmp_path):
    teacher = train(dataclasses.replace(config, plan=PlanConfig("vanilla", 3), output=str(tmp_path / "t/teacher")), people, watch=watch)
    student = dataclasses.replace(config, plan=PlanConfig("kd", 4, teacher=TeacherConfig(checkpoint=str(teacher))))
    found = cost.planned(student, plans.build(student), 54, 6)
    one = cost.macs_of(config.model, 6, config.size)
    assert found == Cost(one * 4 * 54, one * 54, one * 3 * 54)


def test_each_view_and_mirror_image_is_a_pass_of_its_own():
    config = dataclasses.replace(SMALL, plan=PlanConfig(name="srdl", epochs=200), reference=dataclasses.replace(SMALL.reference, flip=True, views=3))
    assert cost.planned(config, plans.build(config), 50_000, 10).extraction == 6 * ONE * 50_000


def test_a_finished_teacher_of_another_size_sees_images_of_its_own(config, people, watch, tmp_path):
    large = dataclasses.replace(config, plan=PlanConfig("vanilla", 1), output=str(tmp_path / "t/teacher"), data=dataclasses.replace(config.data, height=64, width=32))
    student = dataclasses.replace(config, plan=PlanConfig("kd", 4, teacher=TeacherConfig(checkpoint=str(train(large, people, watch=watch)))))
    assert cost.planned(student, plans.build(student), 54, 6).extraction == cost.macs_of(config.model, 6, (64, 32)) * 54
