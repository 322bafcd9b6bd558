"""What CIFAR is published in: records, pickles that may make arrays and nothing else, and archives that are what they say."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from reid_srdl.data import cifar_files
from reid_srdl.data.cifar_files import Binary, Pickled, Published, from_archive, from_folder, unpickled, write_tree
from reid_srdl.data.decoding import decode
from reid_srdl.errors import UserError

NAMES = ("apple", "bear")


class OfPython2(pickle._Pickler):
    """Writes words and bytes as Python 2 did, which the published files come from."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_word(self, value: str | bytes) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_word


def pickled(value: object) -> bytes:
    out = io.BytesIO()
    OfPython2(out, protocol=2).dump(value)
    return out.getvalue()


def pixels(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def records(images: np.ndarray, *labels: list[int]) -> bytes:
    return np.concatenate([np.array(labels, dtype=np.uint8).T, images], axis=1).tobytes()


BINARY = Binary("set.tar.gz", "set-bin", "", ("train.bin",), ("test.bin",), "names.txt", label_bytes=2)
PICKLED = Pickled("set-python.tar.gz", "set-python", "", ("train",), ("test",), "meta", labels="fine_labels", words="fine_label_names")


def archive(path: Path, form: Published, files: dict[str, bytes]) -> Published:
    """Writes an archive of ``files``, and returns the form with its checksum."""
    with tarfile.open(path, "w:gz") as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{form.folder}/{name}")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return dataclasses.replace(form, md5=hashlib.md5(path.read_bytes()).hexdigest())


def binary_files(count: int = 3) -> dict[str, bytes]:
    return {
        "train.bin": records(pixels(count), [9] * count, [0, 1, 0][:count]),
        "test.bin": records(pixels(2, 1), [9, 9], [1, 0]),
        "names.txt": b"apple\nbear\n\n",
    }


def test_records_are_the_class_and_planes_of_red_green_and_blue():
    images, labels = BINARY.images(binary_files()["train.bin"])
    assert np.array_equal(images, pixels(3)) and labels.tolist() == [0, 1, 0]
    assert BINARY.class_names(b"apple\nbear\n\n") == NAMES
    with pytest.raises(ValueError, match="no whole number of images"):
        BINARY.images(binary_files()["train.bin"][:-1])


def test_pickles_of_python_2_are_arrays_and_words():
    images, labels = PICKLED.images(pickled({"data": pixels(3), "fine_labels": [0, 1, 0], "filenames": ["a.png"] * 3}))
    assert np.array_equal(images, pixels(3)) and labels.tolist() == [0, 1, 0]
    assert PICKLED.class_names(pickled({"fine_label_names": list(NAMES)})) == NAMES


def test_numpy_s_old_names_and_numbers_for_booleans_are_known():
    new = pickled(pixels(1))
    old = new.replace(b"numpy._core.", b"numpy.core.").replace(b"\x89\x88\x87", b"K\x00K\x01\x87")
    assert old != new and b"K\x00K\x01" in old
    assert np.array_equal(unpickled(old), pixels(1))


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments

    def __repr__(self):
        return f"{self.call.__name__}{self.arguments}"


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    "value",
    [Evil(eval, "1"), Evil(__import__, "os"), Evil(print, "x"), {"data": Evil(getattr, "x", "y")}, Evil(np.load, "x.npy"), Path("x")],
    ids=str,
)
def test_a_pickle_may_ask_for_nothing_else(value: object, protocol: int):
    with pytest.raises(pickle.UnpicklingError, match="which no array needs"):
        unpickled(pickle.dumps(value, protocol=protocol))


def test_an_archive_with_another_checksum_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither unpacked nor unpickled: the file is as anybody may have made it."""
    archive(tmp_path / "set.tar.gz", PICKLED, {"train": pickle.dumps(Evil(Path.touch, tmp_path / "touched"))})
    monkeypatch.setattr(tarfile, "open", lambda *args: pytest.fail("it was opened"))
    with pytest.raises(UserError, match="not the published file: its MD5 is not.*nothing of it was opened"):
        from_archive(tmp_path / "set.tar.gz", PICKLED)
    assert not (tmp_path / "touched").exists()


def test_a_file_of_the_wrong_kind_is_named_even_with_the_right_checksum(tmp_path: Path):
    for number, data in enumerate((pickle.dumps(Evil(Path.touch, tmp_path / "touched")), b"", b"no pickle", pickled([1]), pickled({"data": "x"}))):
        form = archive(tmp_path / f"{number}.tar.gz", PICKLED, {"train": data, "test": data, "meta": pickled({"fine_label_names": list(NAMES)})})
        with pytest.raises(UserError, match="train is not the published file"):
            write_tree(form, from_archive(tmp_path / f"{number}.tar.gz", form), tmp_path / "set", tmp_path / f"out{number}")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("form", [BINARY, PICKLED])
def test_the_tree_holds_the_same_pixels_in_the_official_order(tmp_path: Path, form):
    files = binary_files()
    if form is PICKLED:
        files = {
            "train": pickled({"data": pixels(3), "fine_labels": [0, 1, 0]}),
            "test": pickled({"data": pixels(2, 1), "fine_labels": [1, 0]}),
            "meta": pickled({"fine_label_names": list(NAMES)}),
        }
    form = archive(tmp_path / "set.tar.gz", form, files)
    folder = write_tree(form, from_archive(tmp_path / "set.tar.gz", form), tmp_path, tmp_path / "tree")
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")) == [
        "test/apple/00001.png", "test/bear/00000.png", "train/apple/00000.png", "train/apple/00002.png", "train/bear/00001.png",
    ]  # fmt: skip
    assert np.array_equal(decode(folder / "train/bear/00001.png"), pixels(3)[1].reshape(3, 32, 32).transpose(1, 2, 0))


def test_files_in_several_parts_are_numbered_on(tmp_path: Path):
    form = Binary("", "", "", ("1.bin", "2.bin"), ("test.bin",), "names.txt")
    for name in ("1.bin", "2.bin", "test.bin"):
        (tmp_path / name).write_bytes(records(pixels(2), [0, 1]))
    (tmp_path / "names.txt").write_text("apple\nbear\n")
    folder = write_tree(form, from_folder(tmp_path, form), tmp_path, tmp_path / "tree")
    assert sorted(path.name for path in folder.glob("train/*/*")) == ["00000.png", "00001.png", "00002.png", "00003.png"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("train.bin", b"", r"train\.bin is not the published file: 0 bytes"),
        ("train.bin", records(pixels(1), [0], [2]), r"train\.bin has labels that are none of its 2 classes"),
        ("names.txt", b"../../apple\nbear\n", r"names\.txt does not list the classes \('../../apple'\)"),
        ("names.txt", b"apple\napple\n", r"names\.txt does not list the classes"),
        ("names.txt", b"\xff\n", r"names\.txt is not the published file"),
        ("test.bin", None, r"cannot read .*test\.bin: No such file"),
    ],
)
def test_files_that_are_not_as_they_should_be(tmp_path: Path, name: str, data: bytes | None, words: str):
    for file, content in {**binary_files(), name: data}.items():
        if content is not None:
            (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=words):
        write_tree(BINARY, from_folder(tmp_path, BINARY), tmp_path, tmp_path / "tree")


def test_archives_that_are_broken_too_large_or_lack_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    form = archive(tmp_path / "a.tar.gz", BINARY, {"train.bin": b"x"})
    with pytest.raises(UserError, match=r"a\.tar\.gz has no set-bin/names\.txt"):
        from_archive(tmp_path / "a.tar.gz", form)
    form = archive(tmp_path / "b.tar.gz", BINARY, binary_files())
    with monkeypatch.context() as patch:
        patch.setattr(cifar_files, "MAX_BYTES", 1000)
        with pytest.raises(UserError, match="would unpack to more than"):
            from_archive(tmp_path / "b.tar.gz", form)
    (tmp_path / "b.tar.gz").write_bytes((tmp_path / "b.tar.gz").read_bytes()[:-2000])
    monkeypatch.setattr(cifar_files, "_md5", lambda path: form.md5)
    with pytest.raises(UserError, match="not a readable tar.gz archive"):
        from_archive(tmp_path / "b.tar.gz", form)
