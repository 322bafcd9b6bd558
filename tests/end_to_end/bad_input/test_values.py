"""Unknown names, impossible values, options of other commands."""

from __future__ import annotations

import pytest

from .conftest import TRAIN, saved_model


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--dataset", "market"], ["no data set 'market'", "market1501"]),
        (["--model.backbone", "resnet51"], ["'resnet51'", "resnet50"]),
        (["--model.backbone", "torchreid:osnet_x9"], ["'torchreid:osnet_x9'", "osnet_x0_5"]),
        (["--plan.name", "sdrl"], ["no plan 'sdrl'", "srdl"]),
        (["--optimizer.rate", "0.1"], ["'optimizer.rate'", "optimiser.rate"]),
        (["--modle.backbone", "resnet50"], ["'modle.backbone'", "model.backbone"]),
        (["stray"], ["'stray'"]),
        (["--device", "tpu"], ["no device 'tpu'", "--device"]),
        (["--device", "cuda:99"], ["cuda:99 is not there", "--device cpu"]),
        (["--config", "market1502"], ["no recipe market1502", "market1501"]),
        (["--config", "nowhere.yaml"], ["no recipe nowhere.yaml"]),
        (["--data.batch", "many"], ["data.batch", "many"]),
        (["--plan.epochs", "1.5"], ["plan.epochs", "1.5"]),
        (["--optimiser.nesterov", "perhaps"], ["optimiser.nesterov", "perhaps"]),
        (["--schedule.drops", "half"], ["schedule.drops", "half"]),
        (["--augment.pad_mode", "mirror"], ["augment.pad_mode", "mirror"]),
        (["--optimiser.rate", "nan"], ["optimiser.rate", "nan"]),
        (["--seed"], ["--seed"]),
        (["--loss.temperature", "0"], ["loss.temperature is 0", "above 0"]),
        (["--schedule.drops", "[0.5, 75]"], ["schedule.drops[1] is 75", "between 0 and 1"]),
        (["--threads", "-1"], ["threads is -1", "above 0"]),
        (["--augment.pad", "-1"], ["augment.pad is -1", "between 0 and 15"]),
        (["--augment.pad", "16"], ["augment.pad is 16", "between 0 and 15"]),
        (["--optimiser.momentum", "-1"], ["optimiser.momentum is -1", "between 0 and 1"]),
        (["--optimiser.weight_decay", "-1"], ["optimiser.weight_decay is -1", "below 0"]),
        (["--plan.first.rate", "-1"], ["plan.first.rate is -1", "above 0"]),
        (["--reference.top_k", "0"], ["reference.top_k is 0", "above 0"]),
        (["--data.holdout_identities", "-1"], ["data.holdout_identities is -1", "below 0"]),
        (["--plan.epochs", "1"], ["at least 2 epochs", "--plan.epochs"]),
        (["--plan.first.epochs", "9"], ["stages of 9 and -7 epochs"]),
        (["--data.train_identities", "1"], ["1 identity", "two at least"]),
        (["--data.holdout_identities", "6"], ["6 training identities", "--data.holdout_identities"]),
        (["--evaluate", "val"], ["no held-out identities", "--data.holdout_identities"]),
        (["--data.train_per_class", "5"], ["has people, not classes", "--data.train_identities"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0].startswith("--") else "",
)  # fmt: skip
def test_an_unknown_name_or_an_impossible_value(refused, people, flags, words):
    line = refused("train", *TRAIN, "--data_root", people.train.root, *flags)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: {bach: 3}\n", ["'data.bach'", "data.batch"]),
        ("data: {batch: many}\n", ["data.batch", "many"]),
        ("model: [\n", ["mine.yaml"]),
        ("datset: folder\n", ["'datset'", "dataset"]),
        ("data: 3\n", ["data is a group", "data.height"]),
        ("plan: {first: 3}\n", ["plan.first is a group", "plan.first.epochs"]),
        (b"\xff\xfe\x00", ["UTF-8"]),
        ("- resnet50\n", ["resnet50"]),
    ],
)
def test_a_recipe_with_a_mistake(refused, people, tmp_path, text, words):
    (tmp_path / "mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    line = refused("train", "--config", "mine.yaml", *TRAIN, "--data_root", people.train.root)
    assert all(word in line for word in words), line


def test_options_of_the_other_commands(refused, people, tmp_path):
    model = saved_model(tmp_path / "model.safetensors", (1, 2, 3))
    assert "'metrik'" in refused("eval", "--metrik", "cosine", "--checkpoint", model)
    assert "no data set 'folders'" in refused("eval", "--checkpoint", model, "--dataset", "folders")
    assert "Name one with --dataset" in refused("eval", "--checkpoint", model)
    assert "either --checkpoint or --embeddings" in refused("eval")
    assert "needs --images" in refused("embed", "--checkpoint", model, "--output", "a.npz")
    assert "no images in" in refused("embed", "--checkpoint", model, "--images", tmp_path, "--output", "a.npz")
    assert ".npz, .parquet" in refused("embed", "--checkpoint", model, "--images", people.train.root, "--output", "a.txt")
    assert "nowhere is no run folder" in refused("report", "nowhere")
    assert "no study 'nowhere'" in refused("study", "nowhere")
    assert "jobs is 0" in refused("study", "market1501_mobilenet_v2", "--jobs", "0")
    assert "'chek'" in refused("data", "chek", "folder")
