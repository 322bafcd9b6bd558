"""``beginnings``: what the stages of a run start from."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reid_srdl.config import PlanConfig, TeacherConfig
from reid_srdl.errors import UserError
from reid_srdl.models import build
from reid_srdl.training import plans
from reid_srdl.training.beginnings import Beginnings
from reid_srdl.training.run import train


def of(config, folder):
    return Beginnings(config, folder, plans.build(config), 6, says=lambda line: None)


def test_a_restart_draws_other_weights(config, tmp_path):
    one, two, again = (of(config, tmp_path).weights(number).state_dict() for number in (0, 1, 0))
    drawn = [name for name in one if name.endswith("weight") and one[name].ndim > 1]
    assert drawn and not any(torch.equal(one[name], two[name]) for name in drawn)
    assert all(torch.equal(one[name], again[name]) for name in one)


def test_a_pretrained_restart_keeps_the_backbone_and_draws_the_classifier(config, tmp_path):
    save_file({name: value.contiguous() for name, value in build("small", 6).backbone.state_dict().items()}, tmp_path / "w.safetensors")
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, weights=str(tmp_path / "w.safetensors")))
    one, two = (of(config, tmp_path).weights(number) for number in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.backbone.state_dict().values(), two.backbone.state_dict().values(), strict=True))
    assert not torch.equal(one.classifier.weight, two.classifier.weight)


def test_the_way_out_names_the_flags_of_the_network_that_cannot_be_had(config, tmp_path):
    config = dataclasses.replace(config, plan=PlanConfig(name="kd", epochs=4, teacher=TeacherConfig(backbone="resnet32", weights="imagenet")))
    with pytest.raises(UserError) as refused:
        of(config, tmp_path).weights(0)
    assert "--plan.teacher." in refused.value.hint and "--model." not in refused.value.hint


def test_what_a_teacher_shares_with_the_student_is_told_by_its_option(config, tmp_path):
    plan = PlanConfig(name="kd", epochs=4, teacher=TeacherConfig(backbone="vit_b_32", weights="none"))
    with pytest.raises(UserError) as refused:
        of(dataclasses.replace(config, model=dataclasses.replace(config.model, last_stride=1), plan=plan), tmp_path).weights(0)
    assert "--model.last_stride 2" in refused.value.hint and "--plan.teacher." not in refused.value.hint
    assert refused.value.hint.endswith("The teacher shares --model.neck, --model.last_stride and --model.pooling with the student.")


def test_the_other_networks_of_a_plan_are_those_that_are_built_otherwise(config, tmp_path):
    def others(**teacher):
        kd = dataclasses.replace(config, plan=PlanConfig(name="kd", epochs=4, teacher=TeacherConfig(**teacher)))
        return [type(network.backbone.layers[1]).__name__ for network in of(kd, tmp_path).others()]

    before = torch.get_rng_state()
    assert others(backbone="small_without_norm", weights="none") == ["BatchNorm2d"], "the student's"
    assert others(backbone="small", weights="a file") == [], "other weights make no other network"
    assert list(of(config, tmp_path).others()) == [] and torch.equal(torch.get_rng_state(), before)


def test_a_later_network_that_cannot_be_had_is_told_before_the_first_is_trained(config, tmp_path):
    kd = PlanConfig(name="kd", epochs=4, teacher=TeacherConfig(backbone="small", weights="none"))
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, weights=str(tmp_path / "nowhere.pth")), plan=kd)
    of(config, tmp_path).weights(0)
    with pytest.raises(UserError, match=r"nowhere\.pth"):
        of(config, tmp_path).check_later()


def test_a_student_that_cannot_be_had_stops_before_its_teacher_is_trained(config, people, watch):
    plan = PlanConfig(name="kd", epochs=2, teacher=TeacherConfig(backbone="small", weights="none"))
    with pytest.raises(UserError, match="unknown network 'nonsense'"):
        train(dataclasses.replace(config, plan=plan, model=dataclasses.replace(config.model, backbone="nonsense")), people, watch=watch)
    assert watch.steps == 0 and not Path(config.output).exists()
