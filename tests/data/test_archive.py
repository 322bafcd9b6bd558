"""Zip archives of others."""

from __future__ import annotations

import errno
import os
import zipfile

import pytest

from reid_srdl.data import archive
from reid_srdl.errors import UserError


def _zip(path, names):
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, "x")
    return path


def test_extract_zip(tmp_path):
    archive.extract_zip(_zip(tmp_path / "a.zip", ["d/one.txt", "two.txt"]), tmp_path / "out")
    assert (tmp_path / "out/d/one.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["../evil.txt", "d/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    packed = _zip(tmp_path / "a.zip", ["good.txt", name])
    with pytest.raises(UserError, match="outside its folder"):
        archive.extract_zip(packed, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


def test_archives_are_bounded(tmp_path):
    packed = _zip(tmp_path / "a.zip", ["a", "b", "c"])
    with pytest.raises(UserError, match="more than"):
        archive.extract_zip(packed, tmp_path / "out", max_files=2)
    with pytest.raises(UserError, match="more than"):
        archive.extract_zip(packed, tmp_path / "out", max_bytes=2)


def test_a_truncated_archive_is_named_and_nothing_stays(tmp_path):
    packed = _zip(tmp_path / "a.zip", ["a" * 50])
    packed.write_bytes(packed.read_bytes()[:60])
    with pytest.raises(UserError, match=r"a\.zip"):
        archive.extract_zip(packed, tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.zip"]


def test_names_that_are_not_in_the_encoding_that_they_claim_are_said(tmp_path):
    packed = _zip(tmp_path / "a.zip", ["é.txt"])
    packed.write_bytes(packed.read_bytes().replace("é".encode(), b"\xe9\xff"))
    with pytest.raises(UserError, match=r"a\.zip is not a readable zip archive"):
        archive.extract_zip(packed, tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.zip"]


def test_an_archive_damaged_within_is_named_and_a_name_of_nothing_is_none(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("./", "")
        opened.writestr("a", bytes(range(256)) * 40)
    archive.extract_zip(path, tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == bytes(range(256)) * 40
    content = bytearray(path.read_bytes())
    middle = content.index(b"a", content.index(b"PK", 10)) + 5
    content[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip is not a readable zip archive"):
        archive.extract_zip(path, tmp_path / "again")
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "out"]


def test_an_archive_that_two_processes_unpack_is_whole_for_both(tmp_path, monkeypatch):
    """Those of two containers on one disk may have the same number."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    packed = _zip(tmp_path / "a.zip", [f"d/{number}" for number in range(9)])
    extract = archive._extract_member

    def another_begins(*args):
        monkeypatch.setattr(archive, "_extract_member", extract)
        archive.extract_zip(packed, tmp_path / "other" / "out")
        os.rename(tmp_path / "other" / "out", tmp_path / "set aside")
        extract(*args)

    monkeypatch.setattr(archive, "_extract_member", another_begins)
    archive.extract_zip(packed, tmp_path / "other" / "out")
    assert len(os.listdir(tmp_path / "other" / "out" / "d")) == len(os.listdir(tmp_path / "set aside" / "d")) == 9


def test_backslashes_in_the_names_of_an_archive_are_folders(tmp_path):
    packed = _zip(tmp_path / "a.zip", ["Set\\", "Set\\query\\1.jpg", "Set/train/1.jpg"])
    archive.extract_zip(packed, tmp_path / "out")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")) == [
        "Set", "Set/query", "Set/query/1.jpg", "Set/train", "Set/train/1.jpg",
    ]  # fmt: skip


def test_an_archive_of_another_packing_damaged_within_is_named(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("a", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[44:80] = b"\xff" * 36
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip is not a readable zip archive"):
        archive.extract_zip(path, tmp_path / "out")


def test_an_archive_that_cannot_be_read_is_no_fault_of_the_folder(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(archive.zipfile, "ZipFile", refuse)  # root may read everything
    with pytest.raises(UserError, match=r"cannot read .*a\.zip: Permission denied"):
        archive.extract_zip(tmp_path / "a.zip", tmp_path / "out")
