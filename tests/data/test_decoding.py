"""One image: upright, in eight bits, and whatever is wrong with it named."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from reid_srdl.data import decoding
from reid_srdl.errors import UserError


def write(path, size=(20, 10), seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)
    return path


def test_grey_and_transparent_images_become_rgb(tmp_path):
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.full((4, 4, 4), 9, np.uint8)).save(tmp_path / "alpha.png")
    assert decoding.decode(tmp_path / "grey.png").shape == decoding.decode(tmp_path / "alpha.png").shape == (4, 4, 3)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 100)
    with pytest.raises(UserError, match="pixels"):
        decoding.decode(write(tmp_path / "big.png"))


def test_sixteen_bit_grey_keeps_its_shades(tmp_path):
    ramp = np.linspace(0, 65535, 16, dtype=np.uint16).reshape(4, 4)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    Image.fromarray(ramp.astype(np.int32)).save(tmp_path / "deep.tif")
    for name in ("deep.png", "deep.tif"):
        assert np.array_equal(decoding.decode(tmp_path / name)[..., 1], ramp >> 8)
    Image.fromarray(ramp.astype(np.int32) * 9).save(tmp_path / "deeper.tif")
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "float.tif")
    for name in ("deeper.tif", "float.tif"):
        with pytest.raises(UserError, match=f"{name}.*nobody knows the white"):
            decoding.decode(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_lies_on_its_side_is_turned_upright(tmp_path, name, orientation):
    image = np.full((32, 16, 3), 10, np.uint8)
    image[:8], image[:, :4] = 250, 130
    lying = {
        1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1], 5: image.transpose(1, 0, 2), 6: np.rot90(image), 7: image[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(image, 3),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(lying).save(tmp_path / name, exif=exif, quality=95)
    decoded = decoding.decode(tmp_path / name)
    assert decoding.image_size(tmp_path / name) == decoded.shape[:2] == (32, 16)
    assert np.abs(decoded.astype(int) - image).mean() < 4


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what it skips
def test_what_others_wrote_into_exif_does_no_harm(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    exif[ExifTags.Base.Make] = "A"
    image = np.zeros((8, 4, 3), np.uint8)
    image[:4] = 250
    Image.fromarray(image[::-1, ::-1]).save(tmp_path / "a.png", exif=exif)
    for at in range(8, len(exif.tobytes())):
        broken = bytearray(exif.tobytes())
        broken[at] = 0xFF
        Image.fromarray(image[::-1, ::-1]).save(tmp_path / "b.png", exif=bytes(broken))
        decoded = decoding.decode(tmp_path / "b.png")
        assert decoding.image_size(tmp_path / "b.png") == decoded.shape[:2]


def test_only_images_of_these_kinds_are_opened_whatever_they_are_called(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n")
    with pytest.raises(UserError, match="cannot read image .*a.jpg"):
        decoding.decode(tmp_path / "a.jpg")


def test_an_image_that_is_not_there_is_no_bad_one(tmp_path):
    with pytest.raises(UserError, match=r"there is no image .*gone\.jpg. Its name is wrong"):
        decoding.decode(tmp_path / "gone.jpg")


def test_sixteen_bits_of_grey_are_the_upper_eight(tmp_path):
    values = np.array([[0, 255, 256, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "grey.png")
    assert decoding.decode(tmp_path / "grey.png")[0, :, 0].tolist() == [0, 0, 1, 255]


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    file = write(tmp_path / "big.png")
    monkeypatch.setattr(decoding, "MAX_BYTES", file.stat().st_size - 1)
    with pytest.raises(UserError, match=r"big\.png: it is larger than"):
        decoding.decode(file)


def test_a_name_that_no_file_can_have_is_named():
    with pytest.raises(UserError, match="null byte"):
        decoding.decode(Path("a\0.jpg"))
