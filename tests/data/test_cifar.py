"""CIFAR from a tree, from the published archives, and from what those unpack to."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid_srdl.data import cifar, read
from reid_srdl.data.images import open_source
from reid_srdl.errors import UserError

NAMES = tuple(f"class_{number:02}" for number in range(10))
LABELS = list(range(10)) * 2


def records(seed: int) -> bytes:
    images = np.random.default_rng(seed).integers(0, 256, (len(LABELS), 3072), dtype=np.uint8)
    return np.concatenate([np.array(LABELS, dtype=np.uint8)[:, None], images], axis=1).tobytes()


@pytest.fixture
def binary() -> dict[str, bytes]:
    """The files of a small CIFAR-10."""
    names = {"batches.meta.txt": "\n".join(NAMES).encode()}
    return {f"data_batch_{number}.bin": records(number) for number in range(1, 6)} | {"test_batch.bin": records(9)} | names


def put(path: Path, folder: str, files: dict[str, bytes]) -> str:
    """Writes an archive and returns its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return hashlib.md5(path.read_bytes()).hexdigest()


def tree(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    for split, count in (("train", 3), ("test", 2)):
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / split / name / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("place", [".", "cifar10", "cifar10/cifar10"])
def test_a_tree_of_png_files(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]):
    tree(tmp_path / place)
    data = read("cifar10", tmp_path)
    assert (len(data.train), len(data.test), data.val, data.class_names) == (30, 20, None, NAMES)
    assert data.train.paths[:3] == ("train/class_00/000.png", "train/class_00/001.png", "train/class_00/002.png")
    assert data.train.labels.tolist() == sorted(list(range(10)) * 3)
    assert "cifar10 in" in capsys.readouterr().err, "it is not the whole official set"


def test_a_root_with_another_number_of_classes_is_another_set(tmp_path: Path):
    tree(tmp_path)
    with pytest.raises(UserError, match="CIFAR-100 is not in"):
        read("cifar100", tmp_path)


def test_the_binary_archive_is_unpacked_once(tmp_path: Path, binary, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    md5 = put(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary)
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, binary=dataclasses.replace(cifar.CIFAR10.binary, md5=md5)))
    data = read("cifar10", tmp_path)
    assert (len(data.train), len(data.test), data.class_names) == (100, 20, NAMES)
    assert data.train.root == tmp_path / "cifar10"
    assert data.train.paths[:2] == ("train/class_00/00000.png", "train/class_00/00010.png")
    first = open_source(data.train.files[:1], (32, 32)).batch([0])
    assert np.array_equal(first[0].numpy().reshape(-1), np.frombuffer(binary["data_batch_1.bin"], dtype=np.uint8)[1:3073])
    assert read("cifar10", tmp_path).train.hash() == data.train.hash()
    assert capsys.readouterr().err.count("unpacking") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar-10-binary.tar.gz", "cifar10"]


@pytest.mark.parametrize("place", [".", "cifar10"])
def test_the_folder_of_the_binary_files(tmp_path: Path, binary, place: str):
    folder = tmp_path / place / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, data in binary.items():
        (folder / name).write_bytes(data)
    data = read("cifar10", tmp_path)
    assert (len(data.train), len(data.test)) == (100, 20)
    assert read("cifar10", tmp_path).train.root == data.train.root


def test_a_read_only_root_is_unpacked_to_the_cache(tmp_path: Path, binary, monkeypatch: pytest.MonkeyPatch):
    md5 = put(tmp_path / "root/cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary)
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, binary=dataclasses.replace(cifar.CIFAR10.binary, md5=md5)))
    monkeypatch.setenv("REID_CACHE", str(tmp_path / "cache"))
    (tmp_path / "root").chmod(0o555)
    try:
        data = read("cifar10", tmp_path / "root")
        assert data.train.root.parent == tmp_path / "cache" and len(data.train) == 100
    finally:
        (tmp_path / "root").chmod(0o755)


def test_an_archive_that_breaks_off_leaves_nothing(tmp_path: Path, binary, monkeypatch: pytest.MonkeyPatch):
    binary["test_batch.bin"] = binary["test_batch.bin"][:-1]
    md5 = put(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary)
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, binary=dataclasses.replace(cifar.CIFAR10.binary, md5=md5)))
    with pytest.raises(UserError, match=r"test_batch\.bin is not the published file"):
        read("cifar10", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize(("name", "archive", "folder"), [("cifar10", "cifar-10-python.tar.gz", "cifar-10-batches-py"), ("cifar100", "cifar-100-python.tar.gz", "cifar-100-python")])
def test_a_pickled_archive_with_another_checksum_is_refused(tmp_path: Path, name: str, archive: str, folder: str):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "touched",)

    evil = pickle.dumps(Evil(), protocol=2)
    members = ("train", "test", "meta", "batches.meta", "test_batch", *(f"data_batch_{number}" for number in range(1, 6)))
    put(tmp_path / archive, folder, {member: evil for member in members})
    with pytest.raises(UserError, match=f"{archive} is not the published file"):
        read(name, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [archive]


@pytest.mark.parametrize(("name", "folder"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar100/cifar-100-python")])
def test_pickles_outside_of_their_archive_are_refused(tmp_path: Path, name: str, folder: str):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "meta").write_bytes(pickle.dumps({}))
    with pytest.raises(UserError, match=r"holds pickles.*-python\.tar\.gz, whose checksum is known.*-binary\.tar\.gz"):
        read(name, tmp_path)


def test_a_class_without_test_images_is_named(tmp_path: Path):
    for file in (tree(tmp_path) / "test/class_07").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="the class class_07 has no images.*test/class_07"):
        read("cifar10", tmp_path)
    (tmp_path / "test/class_07").rmdir()
    with pytest.raises(UserError, match="the class class_07 is in train but not in test"):
        read("cifar10", tmp_path)


@pytest.mark.parametrize(("name", "words"), [("cifar10", "CIFAR-10 is not in .*cifar-10-binary"), ("cifar100", "CIFAR-100 is not in .*cifar-100-python")])
def test_a_set_that_is_not_there(tmp_path: Path, name: str, words: str):
    with pytest.raises(UserError, match=f"{words}.*www.cs.toronto.edu.*--dataset synthetic"):
        read(name, tmp_path)
