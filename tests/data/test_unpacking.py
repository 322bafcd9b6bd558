"""A data set's folder is found where people put it, and archives are unpacked whole or not at all."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest

from reid_srdl.data import unpacking
from reid_srdl.errors import UserError


def missing() -> UserError:
    return UserError("not there")


def holds(folder: Path) -> bool:
    return (folder / "images").is_dir()


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, b"content of some length")
    return path


def find(root: Path) -> Path:
    return unpacking.find_folder(root, ("set", "Set-v1"), ("Set-v1.zip",), holds, missing)


@pytest.mark.parametrize("place", [".", "set", "Set-v1", "set/Set-v1"])
def test_a_folder_is_found_where_people_put_it(tmp_path: Path, place: str):
    (tmp_path / place / "images").mkdir(parents=True)
    assert find(tmp_path).resolve() == (tmp_path / place).resolve()


def test_an_archive_is_unpacked_beside_itself_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = archive(tmp_path / "Set-v1.zip", "Set-v1/images/a.jpg", "__MACOSX/._a.jpg")
    assert find(tmp_path) == tmp_path / "Set-v1"
    assert (tmp_path / "Set-v1/images/a.jpg").is_file()
    path.unlink()
    assert find(tmp_path) == tmp_path / "Set-v1"
    assert capsys.readouterr().err.count("unpacking") == 1
    assert sorted(left.name for left in tmp_path.iterdir()) == ["Set-v1"]


def test_a_read_only_root_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "root"
    root.mkdir()
    archive(root / "Set-v1.zip", "images/a.jpg", "readme.txt")
    root.chmod(0o555)
    monkeypatch.setenv("REID_CACHE", str(tmp_path / "cache"))
    try:
        folder = find(root)
        assert folder.parent == tmp_path / "cache"
        assert (folder / "images/a.jpg").is_file()
        assert find(root) == folder
        assert [left.name for left in root.iterdir()] == ["Set-v1.zip"]
    finally:
        root.chmod(0o755)


def test_the_cache_is_where_the_user_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the message of a full disk says helps."""
    root = tmp_path / "root"
    root.mkdir()
    archive(root / "Set-v1.zip", "images/a.jpg", "readme.txt")
    monkeypatch.delenv("REID_CACHE", raising=False)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(UserError, match="cannot unpack .*No space left on device. Set REID_CACHE to a folder with room"):
        patch.setattr("reid_srdl.data.archive._extract_member", full)
        find(root)
    assert [left.name for left in root.iterdir()] == ["Set-v1.zip"]
    monkeypatch.setenv("REID_CACHE", str(tmp_path / "cache"))
    assert find(root).parent == tmp_path / "cache"


def test_an_archive_with_names_outside_its_folder_leaves_nothing(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    archive(root / "Set-v1.zip", "images/a.jpg", "../../evil.jpg")
    with pytest.raises(UserError, match="write outside"):
        find(root)
    assert [path.name for path in tmp_path.rglob("*")] == ["root", "Set-v1.zip"]


def test_a_truncated_archive_leaves_nothing(tmp_path: Path):
    path = archive(tmp_path / "Set-v1.zip", *(f"images/{number}.jpg" for number in range(20)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="not a readable zip"):
        find(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["Set-v1.zip"]


def test_an_archive_of_something_else(tmp_path: Path):
    archive(tmp_path / "Set-v1.zip", "other/a.jpg")
    with pytest.raises(UserError, match="does not hold the data set"):
        find(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["Set-v1.zip"]


def test_nothing_found_is_the_readers_own_error(tmp_path: Path):
    with pytest.raises(UserError, match="not there"):
        find(tmp_path)
