import errno
import os
import zipfile

import pytest

from reid_srdl import files
from reid_srdl.errors import UserError


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path):
    target = tmp_path / "a.txt"
    files.write_text(target, "before")
    with pytest.raises(RuntimeError), files.writing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="disk is full"), files.writing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_json_without_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"x": float("nan"), "y": [1.5, float("nan")]})
    assert files.read_json(tmp_path / "a.json") == {"x": None, "y": [1.5, None]}


def test_unreadable_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="a.json"):
        files.read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="not there"):
        files.read_json(tmp_path / "b.json")


def _zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


def test_extract_zip(tmp_path):
    files.extract_zip(_zip(tmp_path / "a.zip", ["d/one.txt", "two.txt"]), tmp_path / "out")
    assert (tmp_path / "out/d/one.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["../evil.txt", "d/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:/evil.txt"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    archive = _zip(tmp_path / "a.zip", ["good.txt", name])
    with pytest.raises(UserError, match="outside its folder"):
        files.extract_zip(archive, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["a.zip"]


def test_archives_are_bounded(tmp_path):
    archive = _zip(tmp_path / "a.zip", ["a", "b", "c"])
    with pytest.raises(UserError, match="more than"):
        files.extract_zip(archive, tmp_path / "out", max_files=2)
    with pytest.raises(UserError, match="more than"):
        files.extract_zip(archive, tmp_path / "out", max_bytes=2)


def test_a_truncated_archive_is_named_and_nothing_stays(tmp_path):
    archive = _zip(tmp_path / "a.zip", ["a" * 50])
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(UserError, match=r"a\.zip"):
        files.extract_zip(archive, tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.zip"]


def test_a_linked_file_survives_its_origin(tmp_path):
    (tmp_path / "a").write_text("x")
    files.link_or_copy(tmp_path / "a", tmp_path / "d/b")
    (tmp_path / "a").unlink()
    assert (tmp_path / "d/b").read_text() == "x"
