"""Pictures of images in the index, and of no other file."""

from __future__ import annotations

import io
import os

import pytest
from PIL import Image

from reid_srdl.errors import UserError
from reid_srdl.retrieval.serve.pictures import Pictures

from .conftest import jpeg


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.jpg").write_bytes(jpeg((600, 300)))
    (tmp_path / "secret.jpg").write_bytes(jpeg())
    return folder


def test_an_image_below_the_folder_is_found(root):
    pictures = Pictures(root)
    assert pictures.file_of("deep/a.jpg") == pictures.file_of(str(root / "deep/a.jpg")) == pictures.file_of("deep/../deep/a.jpg") == root / "deep/a.jpg"
    assert Image.open(io.BytesIO(pictures.jpeg("deep/a.jpg", 100))).size == (50, 100)


def test_nothing_else_is(root, tmp_path):
    (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "away").symlink_to(tmp_path)
    (root / "round.jpg").symlink_to(root / "round.jpg")
    os.mkfifo(root / "pipe.jpg")
    pictures = Pictures(root)
    for path in ("../secret.jpg", str(tmp_path / "secret.jpg"), "out.jpg", "away/secret.jpg", "round.jpg", "pipe.jpg", "deep", "", "gone.jpg", "a\0.jpg", "x" * 5000, "/etc/passwd"):
        assert pictures.file_of(path) is None and pictures.jpeg(path, 100) is None, path
    (root / "in.jpg").symlink_to(root / "deep" / "a.jpg")  # a link that stays inside is as good as a file
    assert pictures.file_of("in.jpg") == root / "deep" / "a.jpg"


def test_a_folder_that_is_itself_a_link_is_followed(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert Pictures(tmp_path / "link").jpeg("deep/a.jpg", 50) is not None


def test_what_is_no_image_has_no_picture(root):
    (root / "bad.jpg").write_text("no image")
    assert Pictures(root).jpeg("bad.jpg", 100) is None


def test_the_picture_holds_nothing_but_pixels(root):
    exif = Image.Exif()
    exif[0x010E] = "taken at the station"
    Image.new("RGB", (20, 40)).save(root / "told.jpg", exif=exif)
    assert b"station" in (root / "told.jpg").read_bytes() and b"station" not in Pictures(root).jpeg("told.jpg", 100)


def test_without_a_folder_there_are_none_and_one_that_is_gone_is_said(root):
    assert Pictures(None).file_of(str(root / "deep/a.jpg")) is None
    with pytest.raises(UserError, match="the images are not in .*gone .any more.. Name the folder .* --images"):
        Pictures(root / "gone")
