"""Bad input through the command line: one line that names the thing and the way out, code 2, nothing half-written.

A few cases are processes of their own; the others call the same ``main`` in this one, which saves importing torch again for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from reid_srdl import commands, embeddings, runs
from reid_srdl.config import ModelConfig
from reid_srdl.embeddings import Embeddings
from reid_srdl.models import build

TRAIN = [
    "--dataset", "folder", "--output", "runs/run", "--device", "cpu", "--threads", "1", "--model.backbone", "small", "--model.weights", "none",
    "--data.height", "32", "--data.width", "16", "--data.batch", "16", "--optimiser.rate", "0.01", "--plan.epochs", "2",
    "--log.tensorboard", "false", "--precision", "fp32", "--evaluate", "none",
]  # fmt: skip


class Ended:
    """How a command ended: its code, what it printed, and the last line of standard error."""

    def __init__(self, code: object, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.line = err.rstrip("\n").rpartition("\n")[2]


@pytest.fixture
def reid(tmp_path, monkeypatch, capsys) -> Callable[..., Ended]:
    """``reid("train", …)`` runs ``reid-srdl train …`` in ``tmp_path``, in this process."""
    monkeypatch.chdir(tmp_path)
    for name in ("REID_DATA", "REID_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))

    def run(*argv: object) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["reid-srdl", *map(str, argv)])
        with pytest.raises(SystemExit) as stopped:
            commands.main()
        return Ended(stopped.value.code, *capsys.readouterr())

    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder: files with their bytes, folders without."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refused(reid, tmp_path) -> Callable[..., str]:
    """Runs a command that must be refused and change nothing; returns the line that says why."""

    def run(*argv: object) -> str:
        before = contents(tmp_path)
        ended = reid(*argv)
        assert ended.code == 2, ended.err
        assert "Traceback" not in ended.err
        assert ended.err.count("reid-srdl ") == ended.line.count("reid-srdl ") and ended.line.startswith(f"reid-srdl {argv[0]}: "), ended.err
        assert contents(tmp_path) == before
        return ended.line

    return run


@pytest.fixture
def data(people, tmp_path) -> Path:
    """A copy of the folder data set, to be spoilt."""
    return Path(shutil.copytree(people.train.root, tmp_path / "photos"))


def saved_model(file: Path, labels: tuple[int, ...], backbone: str = "small") -> Path:
    """A finished network in one file, as a stage leaves it."""
    torch.manual_seed(0)
    runs.save_model(file, build(backbone, len(labels)).eval(), ModelConfig(backbone, "none"), (32, 16), np.array(labels))
    return file


def truncated(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    return file


class Trap:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


# --- data ----------------------------------------------------------------------------------------------------------


def test_no_data(refused):
    line = refused("train", *TRAIN, "--data_root", "nowhere")
    assert "no folder nowhere" in line and "--data_root" in line
    line = refused("train", "--dataset", "market1501", "--data_root", "nowhere")
    assert "Market-1501 is not in nowhere" in line and "bounding_box_train" in line and "synthetic" in line
    assert "bounding_box_train" in refused("data", "check", "market1501", "--data_root", "nowhere")
    assert "nowhere.csv" in refused("train", "--dataset", "csv", "--data_root", "nowhere.csv")


@pytest.mark.parametrize("split", ["train", "query", "gallery"])
def test_an_empty_split(refused, data, split):
    for file in (data / split).iterdir():
        file.unlink()
    line = refused("train", *TRAIN, "--data_root", data)
    assert f"no image in {data / split}" in line
    shutil.rmtree(data / split)
    assert f"no folder {split}" in refused("train", *TRAIN, "--data_root", data)


@pytest.mark.parametrize("memory_gb", ["4", "0"], ids=["in memory", "streamed"])
@pytest.mark.parametrize("spoil", [truncated, lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"no image")], ids=["corrupt", "empty", "text"])
def test_a_bad_image_is_named_before_the_first_step(reid, data, tmp_path, spoil, memory_gb):
    bad = data / "train" / "0004_c2s1_000001_00.png"
    spoil(bad)
    argv = ["train", *TRAIN, "--data_root", data, "--data.memory_gb", memory_gb]
    ended = reid(*argv)
    assert ended.code == 2 and "Traceback" not in ended.err
    assert str(bad) in ended.line and "the command data check" in ended.line
    if memory_gb == "4":
        assert not (tmp_path / "runs").exists()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_bad_images_are_left_out_where_that_is_asked_for(reid, data, tmp_path):
    truncated(data / "train" / "0004_c2s1_000001_00.png")
    (data / "train" / "0005_c1s1_000000_00.png").write_bytes(b"")
    ended = reid("train", *TRAIN, "--data_root", data, "--data.skip_corrupt")
    assert ended.code == 0
    left_out = [line for line in ended.err.splitlines() if "left out" in line]
    assert len(left_out) == 2 and "0004_c2s1_000001_00.png" in left_out[0] and "0005_c1s1_000000_00.png" in left_out[1]
    assert runs.read_facts(tmp_path / "runs/run")["images"] == 52


def test_an_archive_that_would_write_outside_its_folder(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "Market-1501-v15.09.15.zip", "w") as archive:
        archive.writestr("Market-1501-v15.09.15/query/0002_c1s1_000451_03.jpg", b"x")
        archive.writestr("../../escaped.txt", b"x")
    line = refused("train", "--dataset", "market1501", "--data_root", tmp_path)
    assert "'../../escaped.txt'" in line and "Nothing was unpacked" in line
    assert not (tmp_path.parent.parent / "escaped.txt").exists()


@pytest.fixture
def one_camera(data) -> Path:
    for file in [*data.glob("*/*_c2s1_*"), *data.glob("*/*_c3s1_*")]:
        file.unlink()
    return data


def test_single_camera_data_says_why_and_what_helps(refused, reid, one_camera, tmp_path):
    line = refused("train", *TRAIN, "--data_root", one_camera, "--evaluate", "test")
    assert "4 of 4 queries have no valid match" in line and "own camera" in line and "--ignore_camera" in line and "--evaluate none" in line
    assert reid("train", *TRAIN, "--data_root", one_camera).code == 0
    line = refused("eval", "--checkpoint", "runs/run", "--device", "cpu")
    assert "4 of 4 queries have no valid match" in line and "own camera" in line and "--ignore_camera" in line
    assert reid("eval", "--checkpoint", "runs/run", "--device", "cpu", "--ignore-camera").code == 0
    found = json.loads((tmp_path / "runs/run/eval/folder-ignore_camera/metrics.json").read_text())
    assert found["protocol"]["same_camera"] is True and 0 <= found["single"]["mAP"] <= 1
    assert reid("report", "runs/run").code == 0 and "Scores on folder-ignore_camera" in (tmp_path / "runs/run/report.html").read_text()


# --- checkpoints ---------------------------------------------------------------------------------------------------


def test_weights_of_another_architecture(refused, people, tmp_path):
    other = tmp_path / "other.safetensors"
    state = build("shufflenet_v2_x0_5", 3).backbone.state_dict()
    safetensors.torch.save_file({name: value.contiguous() for name, value in state.items()}, other)
    line = refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", other)
    assert "nothing in" in line and str(other) in line and "--model.backbone" in line


def test_a_checkpoint_that_is_not_what_it_says(refused, people, tmp_path):
    """Weights of one network under the name of another, and of a network with options from the future."""
    file = saved_model(tmp_path / "model.safetensors", (1, 2, 3))
    # Copies: older releases of safetensors map the file into memory, and writing it anew would change them.
    state = {name: value.clone() for name, value in load_file(file).items()}
    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    metadata.pop("facts")  # else the checksum of what it says would be the first to complain
    for key, value, word in (("backbone", "shufflenet_v2_x0_5", "do not fit a shufflenet"), ("gates", 3, "this version does not know")):
        said = {**metadata, "model": json.dumps({**json.loads(metadata["model"]), key: value})}
        safetensors.torch.save_file(state, file, metadata=said)
        assert word in refused("eval", "--checkpoint", file, "--dataset", "folder", "--data_root", people.train.root)


def test_a_truncated_checkpoint(refused, people, tmp_path):
    file = truncated(saved_model(tmp_path / "model.safetensors", (1, 2, 3)))
    line = refused("eval", "--checkpoint", file, "--dataset", "folder", "--data_root", people.train.root)
    assert str(file) in line and "truncated" in line and "again" in line
    assert str(file) in refused("embed", "--checkpoint", file, "--images", people.query.root, "--output", tmp_path / "out.npz")
    assert str(file) in refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", file)
    assert "no checkpoint nowhere" in refused("embed", "--checkpoint", "nowhere", "--images", people.query.root, "--output", "out.npz")


def test_a_teacher_with_another_label_set(refused, people, tmp_path):
    teacher = saved_model(tmp_path / "model.safetensors", (1, 2, 3, 4, 5, 99))
    argv = ["train", *TRAIN, "--data_root", people.train.root, "--plan.name", "kd", "--plan.teacher.checkpoint"]
    line = refused(*argv, teacher)
    assert str(teacher) in line and "labels" in line and "same label set" in line
    assert "nowhere. Give a run folder" in refused(*argv, "nowhere")


def test_code_in_a_file_of_weights_is_never_run(refused, people, tmp_path):
    file, mark = tmp_path / "weights.pth", tmp_path / "it ran"
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        write({"state_dict": {"a": torch.zeros(2), "trap": Trap(mark)}}, file)
        line = refused("train", *TRAIN, "--data_root", people.train.root, "--model.weights", file)
        assert str(file) in line and not mark.exists()


# --- embeddings ----------------------------------------------------------------------------------------------------


def test_code_in_a_file_of_embeddings_is_never_run(refused, tmp_path):
    mark = tmp_path / "it ran"
    np.savez(tmp_path / "array.npz", vectors=np.array([Trap(mark)], dtype=object))
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Trap(mark)))
    (tmp_path / "a.mat").write_bytes(pickle.dumps(Trap(mark)))
    for argv in (["array.npz", "array.npz"], ["bare.npz", "bare.npz"], ["a.mat"]):
        line = refused("eval", "--embeddings", *argv)
        assert argv[0] in line and "allow_pickle" not in line and not mark.exists()


def test_embeddings_that_cannot_be_scored(refused, tmp_path):
    whole = {"vectors": np.eye(3, dtype=np.float32), "labels": [1, 2, 3], "cameras": [1, 1, 1]}
    broken = np.eye(3)
    broken[1, 2] = np.nan
    cases = {
        "nan": ({**whole, "vectors": broken, "paths": ["a.jpg", "b.jpg", "c.jpg"]}, ("nan.npz", "row 1 (b.jpg)", "NaN", "leave this one out")),
        "unlabelled": ({"vectors": whole["vectors"]}, ("the query vectors have no labels", "column labels")),
        "classified": ({"vectors": whole["vectors"], "labels": whole["labels"]}, ("no cameras", "--ignore_camera")),
        "narrow": ({**whole, "vectors": np.eye(3)[:, :2]}, ("2 numbers, gallery vectors 3", "same network")),
        "short": ({**whole, "labels": [1, 2]}, ("short.npz", "labels of shape (2,)")),
        "words": ({**whole, "labels": ["anna", "bo", "cy"]}, ("words.npz", "not whole numbers")),
        "foreign": ({"features": whole["vectors"]}, ("foreign.npz", "holds no vectors")),
        "empty": ({"vectors": np.zeros((0, 3)), "labels": [], "cameras": []}, ("no queries",)),
        "same": (whole, ("3 of 3 queries have no valid match", "--ignore_camera")),
    }
    np.savez(tmp_path / "gallery.npz", **whole)
    for name, (columns, words) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **columns)
        line = refused("eval", "--embeddings", f"{name}.npz", "gallery.npz")
        assert all(word in line for word in words), line
    (tmp_path / "zero.npz").write_bytes(b"")
    (tmp_path / "zero.parquet").write_bytes(b"")
    for name in (truncated(tmp_path / "same.npz").name, "zero.npz", "zero.parquet", "gone.npz", "notes.txt"):
        assert name in refused("eval", "--embeddings", name, "gallery.npz")
    assert "Give two" in refused("eval", "--embeddings")
    assert "Give two" in refused("eval", "--embeddings", "gallery.npz")


def test_embeddings_without_cameras_are_scored_where_cameras_do_not_count(reid, tmp_path):
    embeddings.save(Embeddings(np.eye(3), labels=np.arange(1, 4)), tmp_path / "a.npz")
    assert reid("eval", "--embeddings", "a.npz", "a.npz", "--ignore_camera", "--output", "scores").code == 0
    assert json.loads((tmp_path / "scores/metrics.json").read_text())["single"]["mAP"] == 1.0


# --- folders -------------------------------------------------------------------------------------------------------


def test_an_output_folder_that_holds_something_else(refused, reid, people, tmp_path):
    train = ["train", *TRAIN, "--data_root", people.train.root]
    assert reid(*train).code == 0
    line = refused(*train, "--seed", "1")
    assert "runs/run already holds a finished run" in line and "--output" in line
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("…")
    line = refused(*train, "--output", "thesis")
    assert "thesis is not empty" in line and "--output" in line
    assert "is a file" in refused(*train, "--output", "thesis/chapter1.txt")
    assert "cannot write into" in refused(*train, "--output", "/proc/none/run")


def test_what_cannot_be_resumed(refused, people, tmp_path):
    assert "nowhere" in refused("train", "--resume", "nowhere")
    line = refused("train", "--resume", tmp_path)
    assert str(tmp_path) in line and "A run folder holds config.yaml" in line
    assert "nothing else" in refused("train", "--resume", tmp_path, "--seed", "1")
    assert "one run folder" in refused("train", "--resume")


@pytest.fixture
def unbroken(reid, people, tmp_path_factory) -> Path:
    """The last stage of a run of 4 epochs that nothing happened to; it is trained once."""
    run = tmp_path_factory.getbasetemp() / "unbroken" / "run"
    if not run.exists():
        assert reid("train", *TRAIN, "--plan.epochs", "4", "--data_root", people.train.root, "--output", run).code == 0
    return run / "stages/2-second/model.safetensors"


def same_weights(one: Path, other: Path) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_truncated_training_state(reid, people, unbroken, tmp_path, monkeypatch):
    """It is named; without it the stage begins again, to the same end."""
    train = ["train", *TRAIN, "--plan.epochs", "4", "--data_root", people.train.root]
    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_model", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert reid(*train).code == 130
    state = truncated(tmp_path / "runs/run/resume.pt")
    before = contents(tmp_path / "runs/run/stages")
    ended = reid("train", "--resume", "runs/run")
    assert ended.code == 2 and ended.line.startswith("reid-srdl train: ") and "Traceback" not in ended.err
    assert "runs/run/resume.pt is damaged" in ended.line and "Delete it" in ended.line
    assert contents(tmp_path / "runs/run/stages") == before
    state.unlink()
    assert reid("train", "--resume", "runs/run").code == 0
    assert same_weights(tmp_path / "runs/run/stages/2-second/model.safetensors", unbroken)


# --- names and values ----------------------------------------------------------------------------------------------


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
        (["--optimiser.momentum", "-1"], ["optimiser.momentum is -1", "below 0"]),
        (["--optimiser.weight_decay", "-1"], ["optimiser.weight_decay is -1", "below 0"]),
        (["--plan.first.rate", "-1"], ["plan.first.rate is -1", "above 0"]),
        (["--reference.top_k", "0"], ["reference.top_k is 0", "above 0"]),
        (["--data.holdout_identities", "-1"], ["data.holdout_identities is -1", "below 0"]),
        (["--plan.epochs", "1"], ["at least 2 epochs", "--plan.epochs"]),
        (["--plan.first.epochs", "9"], ["stages of 9 and -7 epochs"]),
        (["--data.train_identities", "1"], ["1 identity", "two at least"]),
        (["--data.holdout_identities", "6"], ["6 training identities", "--data.holdout_identities"]),
        (["--evaluate", "val"], ["no held-out identities", "--data.holdout_identities"]),
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
    assert "'chek'" in refused("data", "chek", "folder")


# --- a full disk ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of so many kB, where this process may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("kilobytes", [4, 8, 24, 80])
def test_a_full_disk_stops_training_and_a_larger_one_ends_it(reid, people, unbroken, tmp_path, kilobytes):
    """The disk fills up at different files; what is there is whole, and the run goes on from it to the same end."""
    train = ["train", *TRAIN, "--data_root", people.train.root, "--plan.epochs", "4"]
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        run = disk / "runs/run"
        ended = reid(*train, "--output", run)
        assert ended.code == 2 and ended.line.startswith("reid-srdl train: cannot write ") and "Traceback" not in ended.err, ended.err
        assert str(disk) in ended.line and "free some space" in ended.line.lower() and "--output" in ended.line
        assert not list(disk.rglob("*.tmp*"))
        for file in disk.rglob("*.safetensors"):
            load_file(file)
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        assert reid("train", "--resume", run).code == 0
        assert same_weights(run / "stages/2-second/model.safetensors", unbroken)
        assert len(runs.read_log(run / "stages/2-second")) == 2


@pytest.mark.parametrize("name", ["out.npz", "out.parquet"])
def test_a_full_disk_leaves_no_embeddings(reid, people, tmp_path, name):
    model = saved_model(tmp_path / "model.safetensors", (1, 2, 3))
    with small_disk(tmp_path / "disk", 4) as disk:
        (disk / name).write_bytes(b"older")
        ended = reid("embed", "--checkpoint", model, "--images", people.train.root, "--output", disk / name, "--device", "cpu")
        assert ended.code == 2 and "Traceback" not in ended.err
        assert ended.line.startswith(f"reid-srdl embed: cannot write {disk / name}: ") and "free some space" in ended.line
        assert contents(disk) == {name: b"older"}


# --- processes of their own ----------------------------------------------------------------------------------------


def said(done: subprocess.CompletedProcess) -> str:
    assert "reid-srdl" not in done.stdout
    line = done.stderr.rstrip("\n").rpartition("\n")[2]
    assert done.stderr.count("reid-srdl ") == line.count("reid-srdl ") and line.startswith("reid-srdl "), done.stderr
    return line


def test_a_process_without_data(command, tmp_path):
    line = said(command("train", "--dataset", "market1501", "--data-root", "nowhere", check=2))
    assert "Market-1501 is not in nowhere" in line and not list(tmp_path.iterdir())


def test_a_process_with_a_bad_image(command, data, tmp_path):
    bad = data / "train" / "0006_c3s1_000002_00.png"
    bad.write_bytes(b"")
    line = said(command("train", *TRAIN, "--model.backbone", "shufflenet_v2_x0_5", "--data-root", data, check=2))
    assert str(bad) in line and "0 bytes" in line and [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_process_with_embeddings_that_are_not_finite(command, tmp_path):
    np.savez(tmp_path / "q.npz", vectors=[[1.0], [np.inf]], labels=[1, 2], cameras=[1, 1])
    line = said(command("eval", "--embeddings", "q.npz", "q.npz", check=2))
    assert "q.npz: the vector in row 1" in line and [path.name for path in tmp_path.iterdir()] == ["q.npz"]
