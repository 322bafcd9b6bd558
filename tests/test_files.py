import errno
import os
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as serialised

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


def test_what_killed_processes_left_of_a_long_work_is_taken_away_and_nobody_else_s(tmp_path):
    dead = ".a[1].npz.77-0a1b2c3d.tmp"
    neighbours = {".a[1].npz.more.77-0a1b2c3d.tmp.lock", ".a[1].npz.more.77-0a1b2c3d.tmp.npz", ".b.npz.77-0a1b2c3d.tmp.lock", ".b.npz.77-0a1b2c3d.tmp.vectors", ".a[1].npz.78-0a1b2c3d.tmp.npz"}
    for name in (f"{dead}.lock", f"{dead}.npz", f"{dead}.vectors", *neighbours):
        (tmp_path / name).touch()
    with files.writing_for_long(tmp_path / "a[1].npz") as first:
        first.with_suffix(".vectors").touch()
        first.touch()
        working = {path.name for path in tmp_path.iterdir()} - neighbours
        assert working == {first.name, first.with_suffix(".vectors").name, first.with_suffix(".lock").name}
        with files.writing_for_long(tmp_path / "a[1].npz") as second:  # as another process would
            second.write_text("second")
            assert working <= {path.name for path in tmp_path.iterdir()}
        first.with_suffix(".vectors").unlink()
        first.write_text("first")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1].npz", *neighbours} and (tmp_path / "a[1].npz").read_text() == "first"


def test_a_long_work_that_failed_or_goes_into_a_pipe_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), files.writing_for_long(tmp_path / "new" / "a.npz") as temporary:
        temporary.write_text(str(1 / 0))
    assert os.listdir(tmp_path / "new") == []
    os.mkfifo(tmp_path / "pipe.npz")
    reader = os.open(tmp_path / "pipe.npz", os.O_RDONLY | os.O_NONBLOCK)
    with files.writing_for_long(tmp_path / "pipe.npz") as temporary:
        temporary.write_text("through")
    assert os.read(reader, 10) == b"through" and sorted(os.listdir(tmp_path)) == ["new", "pipe.npz"]
    os.close(reader)


def test_a_full_disk_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="disk is full"), files.writing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_json_without_nan(tmp_path):
    files.write_json(tmp_path / "a.json", (float("inf"), -float("inf")))
    assert files.read_json(tmp_path / "a.json") == [None, None]
    files.write_json(tmp_path / "a.json", {"x": float("nan"), "y": [1.5, float("nan")]})
    assert files.read_json(tmp_path / "a.json") == {"x": None, "y": [1.5, None]}


def test_a_name_that_is_no_text_is_written_as_it_can_be(tmp_path):
    files.write_text(tmp_path / "a.html", os.fsdecode(b"caf\xe9 and \xc3\xa9"))
    assert (tmp_path / "a.html").read_text() == "caf\\udce9 and é"


def test_unreadable_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="a.json"):
        files.read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="not there"):
        files.read_json(tmp_path / "b.json")


def test_a_file_that_others_named_lies_in_its_folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in (folder / "a", tmp_path / "b"):
        file.touch()
    (folder / "out").symlink_to(tmp_path / "b")
    (tmp_path / "link").symlink_to(folder)
    assert files.within(folder, "a") == files.within(folder, folder / "a") == files.within(tmp_path / "link", "../folder/a") == folder / "a"
    for path in ("gone", "out", "../b", tmp_path / "b", ".", "a\0", "x" * 5000):
        assert files.within(folder, path) is None
    assert files.within(tmp_path / "gone", "a") is None


def test_a_linked_file_survives_its_origin(tmp_path):
    (tmp_path / "a").write_text("x")
    files.link_or_copy(tmp_path / "a", tmp_path / "d/b")
    (tmp_path / "a").unlink()
    assert (tmp_path / "d/b").read_text() == "x"


def test_what_a_killed_process_left_is_taken_away(tmp_path):
    names = ["a.pt", ".lock", ".resume.pt.123.tmp.pt", ".model.safetensors.7.tmp.safetensors"]
    for name in names:
        (tmp_path / name).touch()
    with files.writing(tmp_path / "b.pt") as temporary:
        temporary.touch()
        files.remove_temporary(tmp_path)
        assert not temporary.exists()  # it is known by the same name
        temporary.touch()
    assert sorted(os.listdir(tmp_path)) == [".lock", "a.pt", "b.pt"]


def test_safetensors_of_equal_content_are_equal_files(tmp_path):
    state = {"b": torch.arange(3.0), "a": torch.ones(2, 2, dtype=torch.int64)}
    metadata = {f"key {number}": "\N{LATIN SMALL LETTER E WITH ACUTE}\x01" * number for number in range(12)}
    made = {files.canonical_safetensors(serialised(state, metadata=metadata)) for _ in range(8)}
    assert len(made) == 1
    (tmp_path / "a.safetensors").write_bytes(made.pop())
    with safe_open(tmp_path / "a.safetensors", "pt") as opened:
        assert opened.metadata() == metadata and all(torch.equal(opened.get_tensor(name), value) for name, value in state.items())


def test_what_is_no_file_is_written_to_and_a_link_stays_one(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    end = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_text(tmp_path / "pipe", "through")
    assert os.read(end, 100) == b"through" and (tmp_path / "pipe").is_fifo()
    os.close(end)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for text in ("one", "two"):
        files.write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == text
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe", "target"]


@pytest.mark.parametrize("name", ["file/inside", "n" * 300])
def test_where_nothing_can_be_written_it_is_said(tmp_path, name):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot write"):
        files.write_text(tmp_path / name, "text")


def test_what_is_in_the_making_has_a_name_of_its_own_whatever_the_process_is_called(tmp_path, monkeypatch):
    """Processes of two containers on one disk may have the same number."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    assert len({files.in_the_making(tmp_path / "Set") for _ in range(9)}) == 9
    with files.writing(tmp_path / "a") as one, files.writing(tmp_path / "a") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert (tmp_path / "a").read_text() == "1" and os.listdir(tmp_path) == ["a"]


def test_a_name_that_only_begins_like_a_home_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.expanded("~/a") == tmp_path / "a" and str(files.expanded("~$crop.jpg")) == "~$crop.jpg"


def test_where_nothing_may_be_written_is_known_before(tmp_path, monkeypatch):
    files.check_writable(tmp_path / "a.json")
    files.check_writable(tmp_path / "not there yet/a.json")
    for flag, way in (("--output", "Name a file in it with --output."), ("", "Move it away.")):
        for write in (files.check_writable, lambda path, flag: files.write_text(path, "text", flag)):
            with pytest.raises(UserError, match=f"cannot write .*: Is a directory. {way}$"):
                write(tmp_path, flag)
    monkeypatch.setattr(files.os, "access", lambda path, how: False)
    with pytest.raises(UserError, match="cannot write .*a.json: Permission denied. .*have it made writable"):
        files.check_writable(tmp_path / "a.json", flag="")


def test_a_file_that_is_private_stays_so(tmp_path):
    target = tmp_path / "people.npz"
    files.write_text(target, "before")
    target.chmod(0o600)
    with files.writing_for_long(target) as temporary:
        temporary.write_text("after")
        assert temporary.stat().st_mode & 0o777 == 0o600, "nor is it in the open while it is made"
    assert target.stat().st_mode & 0o777 == 0o600 and target.read_text() == "after"


def test_a_file_that_is_read_only_is_replaced_and_a_new_one_is_as_any_other(tmp_path):
    target, other = tmp_path / "a", tmp_path / "b"
    for text in ("one", "two"):
        with files.writing(target) as temporary:
            temporary.write_text(text)
            assert os.access(temporary, os.W_OK)
        target.chmod(0o444)
    other.touch()
    with files.writing(tmp_path / "c") as temporary:
        temporary.write_text("new")
    assert target.read_text() == "two" and target.stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "c").stat().st_mode == other.stat().st_mode


def test_json_that_is_nested_without_end_is_named(tmp_path):
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match="cannot be read as JSON"):
        files.read_json(tmp_path / "a.json")


def test_what_killed_processes_left_of_a_folder_is_removed_and_what_others_make_is_not(tmp_path):
    killed = """
import os, sys
from reid_srdl import files
with files.workshop(sys.argv[1]) as made:
    (made / "large").write_bytes(b"x" * 1000)
    os.kill(os.getpid(), 9)
"""
    for name in ("Set", "Settings"):
        assert subprocess.run([sys.executable, "-c", killed, str(tmp_path / name)]).returncode == -9
    with files.workshop(tmp_path / "Set") as one:
        (one / "mine").write_text("1")
        with files.workshop(tmp_path / "Set") as other:
            assert other != one and (one / "mine").is_file(), "its process is still there"
            assert sorted(path.name.split(".")[1] for path in tmp_path.iterdir()) == ["Set", "Set", "Settings"]
    assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == ["Settings"]


def test_a_workshop_that_comes_to_nothing_leaves_no_folder_that_it_made(tmp_path):
    with pytest.raises(ValueError), files.workshop(tmp_path / "cache" / "Set"):
        raise ValueError
    assert not list(tmp_path.iterdir())
    with files.workshop(tmp_path / "cache" / "Set") as made:
        (made / "whole").mkdir()
        (made / "whole").rename(tmp_path / "cache" / "Set")
    assert (tmp_path / "cache" / "Set").is_dir()
