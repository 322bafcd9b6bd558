"""One order on every file system, labels from words, and archives that are unpacked whole or not at all."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest

from reid_srdl.data import decoding, listing
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
    return listing.find_folder(root, ("set", "Set-v1"), ("Set-v1.zip",), holds, missing)


def test_only_images_are_listed_and_in_order(tmp_path: Path):
    for name in ("b.jpg", "a.jpg", "10.PNG", "9.jpg", "._a.jpg", "Thumbs.db", "readme.txt", "a.jpg.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert listing.image_names(tmp_path) == ["10.PNG", "9.jpg", "a.jpg", "a.jpg.jpg", "b.jpg"]


def test_folders_come_in_natural_order(tmp_path: Path):
    for name in ("p10", "p2", ".git", "p1"):
        (tmp_path / name).mkdir()
    assert listing.folder_names(tmp_path) == ["p1", "p2", "p10"]


def test_a_folder_that_is_not_there_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read the folder .*none"):
        listing.image_names(tmp_path / "none")


def test_numbers_stay_what_they_are():
    labels, names = listing.numbered(["0007", "12", "0", "-1", "12"])
    assert labels.tolist() == [7, 12, 0, -1, 12]
    assert names is None


def test_words_are_numbered_from_one_in_natural_order():
    labels, names = listing.numbered(["p10", "p2", "anna", "p10", "0", "-1"])
    assert names == ("anna", "p2", "p10")
    assert labels.tolist() == [3, 2, 1, 3, 0, -1]


def test_the_two_forms_of_an_accented_letter_are_one_person():
    composed, apart = "jos\u00e9", "jose\u0301"  # Windows and Linux, and macOS
    labels, names = listing.numbered([composed, apart, "anna"])
    assert labels.tolist() == [2, 2, 1] and names == ("anna", composed)


def test_numbers_among_words_are_words():
    labels, names = listing.numbered(["7", "anna"])
    assert [names[label - 1] for label in labels] == ["7", "anna"]


@pytest.mark.parametrize(
    ("words", "message"), [(["1", "01"], "01 and 1 are the same number"), (["-2", "a"], "-2 is negative"), (["20240101123456789012", "2"], "is too large")]
)
def test_labels_that_cannot_be_numbered(words: list[str], message: str):
    with pytest.raises(UserError, match=message):
        listing.numbered(words)


def test_a_digit_that_is_no_number_is_a_letter():
    assert listing.numbered(["1²", "1", "p"])[1] == ("1", "1²", "p")


def test_a_link_that_leads_nowhere_is_an_image_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "folder").mkdir()
    (tmp_path / "b.jpg").symlink_to(tmp_path / "folder")
    assert listing.image_names(tmp_path) == ["a.jpg"]
    with pytest.raises(UserError, match="there is no image .*a.jpg"):
        decoding.decode(tmp_path / "a.jpg")


def test_a_link_to_itself_is_one_too_and_hides_no_other(tmp_path: Path):
    for name in ("a.jpg", "folder"):
        (tmp_path / name).symlink_to(name)
    (tmp_path / "b.jpg").touch()
    assert listing.image_names(tmp_path) == ["a.jpg", "b.jpg"] and listing.folder_names(tmp_path) == []
    with pytest.raises(UserError, match="a.jpg"):
        decoding.decode(tmp_path / "a.jpg")


def test_a_split_is_in_order_of_its_paths_and_never_empty(tmp_path: Path):
    made = listing.split_of("query", tmp_path, [("b.jpg", 2, 1), ("a.jpg", 5, 3)], "")
    assert made.paths == ("a.jpg", "b.jpg")
    assert made.labels.tolist() == [5, 2]
    assert made.cameras.tolist() == [3, 1]
    with pytest.raises(UserError, match="the camera 9223372036854775808 is too large a number"):
        listing.split_of("query", tmp_path, [("a.jpg", 1, 1 << 63)], "")
    with pytest.raises(UserError, match="split query is empty: no image in x"):
        listing.split_of("query", tmp_path, [], "no image in x")


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


def test_a_warning_is_one_line_that_gives_no_orders_to_the_terminal(capsys: pytest.CaptureFixture[str]):
    listing.warn("a\nfile \x1b[31mred.jpg")
    assert capsys.readouterr().err == "warning: a file \\x1b[31mred.jpg\n"


def test_of_several_processes_the_first_one_warns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "one")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        listing.warn(f"seen by {rank}")
    assert capsys.readouterr().err == "warning: seen by 0\n"


def test_a_broken_mat_file_is_a_user_error(tmp_path: Path):
    import scipy.io

    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"index": [1, 2, 3]}, do_compression=True)
    assert listing.read_mat(path, "index")["index"].tolist() == [[1, 2, 3]]
    with pytest.raises(UserError, match="has no other"):
        listing.read_mat(path, "other")
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match="not a readable .mat"):
        listing.read_mat(path, "index")


def test_a_number_that_nothing_can_hold_is_named():
    for word in ("9" * 30, "9" * 5000):
        with pytest.raises(UserError, match="too large a number"):
            listing.numbered([word, "1"])
    assert listing.natural_key("a" + "9" * 5000)
