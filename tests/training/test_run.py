import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from reid_srdl import devices, runs
from reid_srdl.config import StageConfig, save
from reid_srdl.data.records import ClassData, ReIDData
from reid_srdl.errors import UserError
from reid_srdl.inference import logits
from reid_srdl.training import checkpoint
from reid_srdl.training import reference as references
from reid_srdl.training.beginnings import Beginnings
from reid_srdl.training.run import train


def weights(run):
    return [load_file(folder / "model.safetensors") for folder in runs.finished_stages(run)]


def equal(one, other):
    return len(one) == len(other) and all(torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


def with_plan(config, **changes):
    return dataclasses.replace(config, plan=dataclasses.replace(config.plan, **changes))


def test_srdl_fills_a_run_folder(config, people, watch):
    folder = train(config, people, watch=watch)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "config.yaml", "run.json", "stages/1-first/model.safetensors", "stages/1-first/log.csv", "stages/1-first/reference.safetensors",
        "stages/2-second/model.safetensors", "stages/2-second/log.csv",
    } <= names  # fmt: skip
    assert "resume.pt" not in names
    facts = runs.read_facts(folder)
    assert facts["finished"] and facts["images"] == 54 and facts["identities"] == 6
    assert [len(runs.read_log(stage)) for stage in runs.finished_stages(folder)] == [2, 3]
    assert [row["imitation"] is None for row in runs.read_log(folder / "stages/2-second")] == [False] * 3
    assert runs.load(folder).labels.tolist() == [1, 2, 3, 4, 5, 6]


def test_it_learns(config, people, watch):
    train(with_plan(config, epochs=16), people, watch=watch)
    assert watch.rows[0]["accuracy"] < 0.6 < watch.rows[-1]["accuracy"]


def test_the_same_seed_gives_the_same_bits_and_another_others(config, people, watch, tmp_path):
    one = weights(train(config, people, watch=watch))
    two = weights(train(dataclasses.replace(config, output=str(tmp_path / "elsewhere/run")), people, watch=watch))
    other = weights(train(dataclasses.replace(config, output=str(tmp_path / "elsewhere/other"), seed=1), people, watch=watch))
    assert equal(one, two) and not equal(one, other)


def test_memory_and_stream_train_alike(config, people, watch, tmp_path):
    one = weights(train(config, people, watch=watch))
    streamed = dataclasses.replace(config, output=str(tmp_path / "s/run"), data=dataclasses.replace(config.data, memory_gb=0.0))
    assert equal(one, weights(train(streamed, people, watch=watch)))


class Stop(Exception):
    pass


def breaking(watch, steps):
    """An onlooker of the kind of ``watch`` that breaks the run off after so many steps."""

    class Breaking(type(watch)):
        def step_ends(self, images, loss):
            super().step_ends(images, loss)
            if self.steps == steps:
                raise Stop

    return Breaking()


@pytest.mark.parametrize("at", [0, 3, 5, 6, 8, 13])
def test_broken_off_anywhere_and_resumed_the_end_is_bit_identical(config, people, watch, tmp_path, at):
    """3 steps an epoch, 2 + 3 epochs: in either stage, at their ends, and before the first state is saved."""
    whole = weights(train(config, people, watch=watch))

    broken = dataclasses.replace(config, output=str(tmp_path / "b/run"))
    with pytest.raises(Stop):
        train(broken, people, watch=breaking(watch, at + 1))
    folder = train(broken, people, watch=watch, resume=True)
    assert equal(whole, weights(folder))
    assert [len(runs.read_log(stage)) for stage in runs.finished_stages(folder)] == [2, 3]


def test_a_state_saved_inside_an_epoch_goes_on_from_there(config, people, watch, tmp_path):
    whole = weights(train(config, people, watch=watch))

    broken = dataclasses.replace(config, output=str(tmp_path / "b/run"), log=dataclasses.replace(config.log, checkpoint_minutes=0.0))
    with pytest.raises(Stop):
        train(broken, people, watch=breaking(watch, 6))
    state = checkpoint.load(tmp_path / "b/run/resume.pt")
    assert (state["epoch"], state["step"]) == (1, 2)
    again = type(watch)()
    folder = train(broken, people, watch=again, resume=True)
    assert equal(whole, weights(folder)) and again.steps == 15 - 5
    assert runs.read_log(folder / "stages/1-first")[1]["accuracy"] == pytest.approx(watch.rows[1]["accuracy"])


def test_a_stage_of_two_conditions_is_handed_to_nobody(config, people, watch, tmp_path):
    vanilla = with_plan(config, name="vanilla", epochs=3)
    broken = dataclasses.replace(vanilla, output=str(tmp_path / "a/run"))
    with pytest.raises(Stop):
        train(broken, people, watch=breaking(watch, 5))
    path = tmp_path / "a/run/resume.pt"
    state = checkpoint.load(path)
    checkpoint.save({**state, "key": "that of other threads"}, path)
    mixed = train(broken, people, watch=watch, resume=True)
    clean = train(dataclasses.replace(vanilla, output=str(tmp_path / "a/clean")), people, watch=watch)
    assert [runs.read_facts(run)["stages"][0]["shared"] for run in (mixed, clean)] == [False, False]
    assert runs.read_facts(mixed)["stages"][0]["key"] != runs.read_facts(clean)["stages"][0]["key"] == state["key"]


def test_a_stage_that_was_taken_over_is_still_said_to_be_after_a_resume(config, people, watch, tmp_path):
    train(with_plan(config, name="half"), people, watch=watch)

    srdl = dataclasses.replace(config, output=str(tmp_path / "runs/srdl"))
    with pytest.raises(Stop):
        train(srdl, people, watch=breaking(watch, 1))
    folder = train(srdl, people, watch=watch, resume=True)
    assert [stage["shared"] for stage in runs.read_facts(folder)["stages"]] == [True, False]


def among(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of so many, of which no other ever comes."""
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    monkeypatch.setenv("MASTER_ADDR", "one")
    monkeypatch.setattr(devices, "join", lambda device: None)


def test_a_last_batch_that_the_processes_cannot_share_stops_before_the_first_step(config, people, watch, monkeypatch):
    monkeypatch.setattr("reid_srdl.data.samplers.MIN_BATCH", 2)
    among(4, monkeypatch)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, batch=24))  # 54 = 24 + 24 + 6
    with pytest.raises(UserError, match="4 processes cannot share the smallest batch of an epoch, 6 images"):
        train(config, people, watch=watch)
    assert not Path(config.output).exists()


def test_processes_whose_parts_would_cut_people_apart_stop_before_the_first_step(config, people, watch, monkeypatch):
    data = dataclasses.replace(config.data, sampler="identity", instances=2, batch=8)
    parted = dataclasses.replace(config, data=data, metric=dataclasses.replace(config.metric, name="triplet"), optimiser=dataclasses.replace(config.optimiser, accumulate=2))
    among(3, monkeypatch)
    with pytest.raises(UserError, match="3 processes would cut people apart in the 2 parts of a batch of 8. Set --data.batch to a multiple of 12"):
        train(parted, people, watch=watch)
    assert not Path(config.output).exists()


def test_a_damaged_state_is_refused_by_name(config, people, watch, tmp_path):
    with pytest.raises(Stop):
        train(config, people, watch=breaking(watch, 5))
    file = Path(config.output) / "resume.pt"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"resume\.pt is damaged"):
        train(config, people, watch=watch, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_fp16_is_refused_on_a_cpu_where_it_begins_and_where_it_is_taken_up(config, people, watch, resume):
    folder = Path(config.output)
    if resume:
        save(dataclasses.replace(config, precision="fp16"), folder / "config.yaml")
    with pytest.raises(UserError, match="needs a GPU"):
        train(dataclasses.replace(config, precision="fp16"), people, watch=watch, resume=resume)
    assert folder.exists() == resume and not (folder / "run.json").exists()


def test_the_restart_is_fresh(config, people, watch, monkeypatch):
    """Other weights from another seed, and not those of the first stage."""
    made = []
    original = Beginnings.weights

    def noting(self, number):
        network = original(self, number)
        made.append({name: value.clone() for name, value in network.state_dict().items()})
        return network

    monkeypatch.setattr(Beginnings, "weights", noting)
    folder = train(config, people, watch=watch)
    first, second = made
    trained = weights(folder)[0]
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith("weight") and first[name].ndim > 1)
    assert not torch.equal(second["classifier.weight"], trained["classifier.weight"])


def test_continue_takes_over_the_weights(config, people, watch):
    folder = train(with_plan(config, name="continued", second=StageConfig(rate=1e-12)), people, watch=watch)
    one, two = weights(folder)
    assert torch.allclose(one["classifier.weight"], two["classifier.weight"], atol=1e-6)


def test_plans_that_begin_alike_share_their_first_stage(config, people, watch, tmp_path):
    train(config, people, watch=watch)
    steps = watch.steps
    other = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/control")), name="no_reference")
    folder = train(other, people, watch=watch)
    assert watch.steps - steps == 3 * 3  # the second stage only
    assert runs.read_facts(folder)["stages"][0]["shared"] and not runs.read_facts(folder)["stages"][1]["shared"]
    control = with_plan(dataclasses.replace(config, output=str(tmp_path / "runs/half")), name="half")
    train(control, people, watch=watch)
    assert watch.steps - steps == 3 * 3


def test_a_stage_that_goes_on_from_others_weights_is_not_shared(config, people, watch, tmp_path):
    for rate in (0.05, 0.01):
        own = with_plan(dataclasses.replace(config, output=str(tmp_path / f"runs/{rate}")), name="continued", epochs=2, first=StageConfig(rate=rate))
        assert not runs.read_facts(train(own, people, watch=watch))["stages"][1]["shared"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"data": {"batch": 8}}, {"augment": {"pad": 2}}, {"optimiser": {"rate": 0.01}}, {"optimiser": {"weight_decay": 0.0}},
     {"loss": {"label_smoothing": 0.1}}, {"schedule": {"drops": (0.9,)}}],
)  # fmt: skip
def test_what_determines_a_stage_is_not_shared(config, people, watch, tmp_path, change):
    half = with_plan(config, name="half", epochs=4)
    train(half, people, watch=watch)
    for key, value in change.items():
        value = dataclasses.replace(getattr(half, key), **value) if isinstance(value, dict) else value
        half = dataclasses.replace(half, **{key: value})
    folder = train(dataclasses.replace(half, output=str(tmp_path / "runs/other")), people, watch=watch)
    assert not runs.read_facts(folder)["stages"][0]["shared"]


def test_the_temperature_does_not_hinder_sharing_the_first_stage(config, people, watch, tmp_path):
    train(config, people, watch=watch)
    other = dataclasses.replace(config, output=str(tmp_path / "runs/t"), loss=dataclasses.replace(config.loss, temperature=5.0))
    folder = train(other, people, watch=watch)
    assert [stage["shared"] for stage in runs.read_facts(folder)["stages"]] == [True, False]


def test_the_store_may_be_deleted(config, people, watch, tmp_path):
    folder = train(config, people, watch=watch)
    shutil.rmtree(folder.parent / ".stages")
    assert runs.load(folder).embed([people.query.files[0]]).shape == (1, 16)


def broken_off_after_its_soft_targets(config, people, watch):
    """The run folder, and its file of soft targets."""
    with pytest.raises(Stop):
        train(config, people, watch=breaking(watch, 7))
    folder = Path(config.output)
    return folder, folder / "stages/1-first/reference.safetensors"


def test_soft_targets_in_the_folder_that_were_made_otherwise_are_made_anew(config, people, watch):
    _, path = broken_off_after_its_soft_targets(config, people, watch)
    made = references.load(path)
    references.save(dataclasses.replace(made, how="otherwise", logits=torch.zeros_like(made.logits)), path)
    train(config, people, watch=watch, resume=True)
    again = references.load(path)
    assert again.how == made.how and torch.equal(again.logits, made.logits)


def test_soft_targets_in_the_folder_of_another_list_of_images_are_refused(config, people, watch):
    _, path = broken_off_after_its_soft_targets(config, people, watch)
    references.save(dataclasses.replace(references.load(path), split_hash="another"), path)
    with pytest.raises(UserError, match="belong to another list of training images"):
        train(config, people, watch=watch, resume=True)


def test_another_number_of_threads_is_said_on_resume(config, people, watch):
    folder, _ = broken_off_after_its_soft_targets(config, people, watch)
    file = folder / runs.FACTS
    file.write_text(json.dumps({**json.loads(file.read_text()), "threads": 7}))
    train(config, people, watch=watch, resume=True)
    (line,) = [line for line in watch.lines if "began with" in line]
    assert line == "note: the run began with CPU threads: 7, now 1; the result will not be bit-identical to an unbroken run"


def test_a_folder_that_holds_another_run(config, people, watch):
    train(config, people, watch=watch)
    with pytest.raises(UserError, match="finished run"):
        train(config, people, watch=watch)


def test_changed_images_are_noticed_on_resume(config, people, watch):
    folder = train(config, people, watch=watch)
    fewer = ReIDData("people", people.train.take(np.arange(1, 54)), people.query, people.gallery)
    with pytest.raises(UserError, match="have changed"):
        train(dataclasses.replace(config, output=str(folder)), fewer, watch=watch, resume=True)


def test_a_loss_that_is_not_finite_names_the_images(config, people, watch):
    with pytest.raises(UserError, match=r"not finite at epoch 0.*_c1s1_.*--output \S*runs/run-rate5e\+29 --optimiser\.rate 5e\+29$"):
        train(dataclasses.replace(config, optimiser=dataclasses.replace(config.optimiser, rate=1e30)), people, watch=watch)
    assert runs.read_facts(Path(config.output))["diverged"] == "first"


def test_a_corrupt_image_stops_before_the_first_step_or_is_left_out(config, people, watch, tmp_path):
    shutil.copytree(people.train.root, tmp_path / "copy")
    split = dataclasses.replace(people.train, root=tmp_path / "copy")
    split.files[5].write_bytes(b"")
    data = ReIDData("people", split, people.query, people.gallery)
    with pytest.raises(UserError, match=split.paths[5]):
        train(config, data, watch=watch)
    assert watch.steps == 0 and not Path(config.output).exists()
    folder = train(dataclasses.replace(config, data=dataclasses.replace(config.data, skip_corrupt=True)), data, watch=watch)
    assert runs.read_facts(folder)["images"] == 53
    assert any("left out" in line and split.paths[5] in line for line in watch.lines)


def test_scores_during_training_stand_in_the_log(config, people, watch):
    config = dataclasses.replace(config, log=dataclasses.replace(config.log, eval_every=2))
    folder = train(config, people, watch=watch, score=lambda network, place: {"rank1": 0.5, "mAP": 0.25})
    assert [row["val_mAP"] for row in runs.read_log(folder / "stages/2-second")] == [None, 0.25, None]


def test_random_crops_train_and_soft_targets_are_of_the_centres(config, people, watch, tmp_path):
    cropped = dataclasses.replace(config, data=dataclasses.replace(config.data, crop="imagenet"), augment=dataclasses.replace(config.augment, pad=0))
    folder = train(cropped, people, watch=watch)
    assert any("streamed from disk at 32x16" in line for line in watch.lines)
    first = runs.load(folder / "stages/1-first", "cpu")
    assert first.crop == "imagenet"
    believed = logits(first.network, first.source(people.train.files), size=first.size, place=first.place)
    stored = references.load(folder / "stages/1-first/reference.safetensors")
    assert np.allclose(stored.rows(torch.arange(54)), believed - believed.max(1, keepdims=True), atol=1e-2)
    again = train(dataclasses.replace(cropped, output=str(tmp_path / "again/run")), people, watch=watch)
    assert equal(weights(folder), weights(again))
    whole = train(dataclasses.replace(config, augment=cropped.augment, output=str(tmp_path / "again/whole")), people, watch=watch)
    assert not runs.read_facts(whole)["stages"][0]["shared"] and not equal(weights(whole), weights(folder))


def test_classes_count_from_zero_and_train_as_people_do(config, people, watch):
    labels = people.train.labels - 1
    split = dataclasses.replace(people.train, labels=labels)
    folder = train(config, ClassData("toy", split, None, split, tuple("abcdef")), watch=watch)
    assert runs.load(folder).labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert any("54 training images of 6 classes" in line for line in watch.lines)


def test_from_python_nothing_but_a_configuration_and_data_is_needed(config, people, capsys):
    folder = train(config, people)
    assert runs.read_facts(folder)["finished"] and "second   3/3" in capsys.readouterr().err


def test_a_value_that_no_run_can_have_is_refused_before_anything_is_written(config, people):
    with pytest.raises(UserError, match="data.batch is 0"):
        train(dataclasses.replace(config, data=dataclasses.replace(config.data, batch=0)), people)
    assert not Path(config.output).exists()
