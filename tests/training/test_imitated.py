"""What a stage imitates: whose beliefs, and how they are written down."""

import dataclasses
import json
import shutil

import pytest
import torch

from reid_srdl import runs
from reid_srdl.config import ReferenceConfig, TeacherConfig
from reid_srdl.data.records import ClassData, ReIDData
from reid_srdl.errors import UserError
from reid_srdl.inference import logits
from reid_srdl.training import precision
from reid_srdl.training import reference as references
from reid_srdl.training.run import train


def with_plan(config, **changes):
    return dataclasses.replace(config, plan=dataclasses.replace(config.plan, **changes))


def test_kd_from_a_run_and_from_a_teacher_stage(config, people, watch, tmp_path):
    teacher = train(with_plan(config, name="vanilla", epochs=2), people, watch=watch)
    student = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/kd")), name="kd", epochs=2, teacher=TeacherConfig(checkpoint=str(teacher)))
    folder = train(student, people, watch=watch)
    stored = references.load(folder / "stages/1-student/reference.safetensors")
    assert runs.read_model(teacher / "stages/1-first/model.safetensors").hash in stored.how
    # Its targets are what the teacher says of each image in the order of the split, up to the shift of each row and float16.
    own = runs.load(teacher)
    said = torch.from_numpy(logits(own.network, own.source(people.train.files), size=own.size, place=own.place))
    assert torch.allclose(stored.logits.float(), said - said.max(dim=1, keepdim=True).values, atol=5e-3)
    both = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/kd2")), name="kd", epochs=2, teacher=TeacherConfig(backbone="small", weights="none", epochs=1))
    assert [path.name for path in runs.finished_stages(train(both, people, watch=watch))] == ["1-teacher", "2-student"]


def test_a_teacher_that_changed_under_its_student_is_told(config, people, watch, tmp_path):
    teacher, other = (train(with_plan(dataclasses.replace(config, output=str(tmp_path / f"runs/{seed}"), seed=seed), name="vanilla", epochs=1), people, watch=watch) for seed in (1, 2))
    student = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/kd")), name="kd", epochs=1, teacher=TeacherConfig(checkpoint=str(teacher)))
    stage = train(student, people, watch=watch) / "stages/1-student"
    assert not any("made anew" in line for line in watch.lines)
    (stage / runs.MODEL).unlink()
    shutil.copy(other / "stages/1-first" / runs.MODEL, teacher / "stages/1-first")
    train(student, people, watch=watch, resume=True)
    assert f"the soft targets in {stage / runs.REFERENCE} are not of {teacher} as it is now, and are made anew" in watch.lines
    assert runs.read_model(other / "stages/1-first" / runs.MODEL).hash in references.load(stage / runs.REFERENCE).how


def test_what_a_teacher_looks_at_makes_it_another_one(config, people, watch, tmp_path):
    """The same weights at another size say something else: neither the student nor its targets are those of the other."""
    teacher = runs.read_model(train(with_plan(config, name="vanilla", epochs=1), people, watch=watch) / "stages/1-first" / runs.MODEL)
    students = []
    for name, size in (("a", teacher.size), ("b", (64, 64))):
        runs.save_model(tmp_path / f"{name}.safetensors", runs.network_of(teacher), teacher.model, size, teacher.labels)
        imitating = TeacherConfig(checkpoint=str(tmp_path / f"{name}.safetensors"))
        students.append(train(with_plan(dataclasses.replace(config, output=str(tmp_path / "runs" / name)), name="kd", epochs=1, teacher=imitating), people, watch=watch))
    said = [references.load(run / "stages/1-student" / runs.REFERENCE) for run in students]
    assert said[0].how != said[1].how and not torch.equal(said[0].logits, said[1].logits)
    assert not runs.read_facts(students[1])["stages"][0]["shared"]


def test_student_and_teacher_are_both_tried_in_bf16(config, people, watch, monkeypatch):
    tried = []
    monkeypatch.setattr(precision, "repeats", lambda network, *_: tried.append(network.backbone) or len(tried) < 2)
    both = with_plan(dataclasses.replace(config, precision="bf16"), name="kd", epochs=1, teacher=TeacherConfig(backbone="small_without_norm", weights="none"))
    with pytest.raises(UserError, match="in bf16 this processor"):
        train(both, people, watch=watch)
    assert len(tried) == 2 and watch.steps == 0


def test_a_teacher_of_other_people_is_refused_before_anything_is_written(config, people, watch, tmp_path):
    fewer = ReIDData("fewer", people.train.take(people.train.labels > 1), people.query, people.gallery)
    teacher = train(with_plan(config, name="vanilla", epochs=1), fewer, watch=watch)
    student = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/kd")), name="kd", epochs=1, teacher=TeacherConfig(checkpoint=str(teacher)))
    with pytest.raises(UserError, match="5 labels"):
        train(student, people, watch=watch)
    assert not (tmp_path / "runs/kd").exists()


def test_a_teacher_of_other_classes_of_the_same_number_is_refused_and_one_without_names_is_taken(config, people, watch, tmp_path):
    """Whatever their names are, classes are 0 to 5."""
    split = dataclasses.replace(people.train, labels=people.train.labels - 1)
    ours, theirs = (ClassData("things", split, None, split, tuple(names)) for names in ("abcdef", "abdcef"))
    teacher = train(with_plan(config, name="vanilla", epochs=1), theirs, watch=watch)
    student = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/kd")), name="kd", epochs=1, teacher=TeacherConfig(checkpoint=str(teacher)))
    with pytest.raises(UserError, match="the reference .*run knows other classes than those of things: label 2 is d to it, and c there"):
        train(student, ours, watch=watch)
    assert not (tmp_path / "runs/kd").exists()
    file = teacher / "stages/1-first/model.safetensors"
    old = runs.read_model(file)
    file.unlink()
    runs.save_model(file, runs.network_of(old), old.model, old.size, old.labels)
    train(student, ours, watch=watch)


def test_shuffled_soft_targets_are_others(config, people, watch, tmp_path):
    folder = train(config, people, watch=watch)
    before = references.load(folder / "stages/1-first/reference.safetensors")
    other = dataclasses.replace(config, output=str(tmp_path / "runs/shuffled"), reference=ReferenceConfig(shuffle=True))
    after = references.load(train(other, people, watch=watch) / "stages/1-first/reference.safetensors")
    assert not torch.equal(before.logits, after.logits)


def test_views_are_averaged_at_the_temperature_of_the_run(config, people, watch):
    """One so low that the surer view has its way: between high ones there is little to see."""
    cold = dataclasses.replace(config, loss=dataclasses.replace(config.loss, temperature=0.01), reference=ReferenceConfig(flip=True))
    folder = train(with_plan(cold, epochs=2), people, watch=watch)
    stored = references.load(folder / "stages/1-first/reference.safetensors")
    own = runs.load(folder / "stages/1-first", "cpu")
    for temperature, alike in ((0.01, True), (3.0, False)):
        said = torch.from_numpy(logits(own.network, own.source(people.train.files), size=own.size, place=own.place, flip_at=temperature))
        assert torch.allclose(stored.logits.float(), said - said.max(dim=1, keepdim=True).values, atol=2e-3) == alike
    assert json.loads(stored.how)["temperature"] == 0.01
