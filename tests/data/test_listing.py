"""One order on every file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from reid_srdl.data import decoding, listing
from reid_srdl.errors import UserError


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
