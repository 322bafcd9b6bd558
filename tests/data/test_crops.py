"""The geometry of ImageNet's crops, and what they depend on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, RandomResizedCrop, Resize

from reid_srdl.data import crops

SIZES = ((375, 500), (500, 375), (64, 64), (90, 1000), (1000, 90), (1, 1), (7, 3))


def image(height: int, width: int) -> Image.Image:
    """Smooth, so that interpolation is well determined, and different everywhere."""
    rows, columns = np.mgrid[0:height, 0:width]
    values = np.stack([rows * 255 / height, columns * 255 / width, 128 + 100 * np.sin(rows / 9 + columns / 7)], axis=2)
    return Image.fromarray(values.astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_boxes_follow_torchvision_s_rule_draw_for_draw(size: tuple[int, int]):
    height, width = size
    for seed in range(200):
        torch.manual_seed(seed)
        theirs = RandomResizedCrop.get_params(image(1, 1).resize((width, height)), crops.AREA, crops.ASPECT)
        assert crops.random_box(height, width, torch.Generator().manual_seed(seed)) == tuple(theirs)


def test_boxes_lie_inside_and_take_what_they_should():
    boxes = np.array([crops.random_box(375, 500, torch.Generator().manual_seed(seed)) for seed in range(2000)])
    top, left, height, width = boxes.T
    assert (boxes[:, :2] >= 0).all() and (top + height <= 375).all() and (left + width <= 500).all()
    area, aspect = height * width / (375 * 500), width / height
    assert 0.079 < area.min() < 0.1 and 0.9 < area.max() <= 1
    assert 0.74 < aspect.min() < 0.78 and 1.29 < aspect.max() < 1.35


@pytest.mark.parametrize("size", SIZES[:5])
@pytest.mark.parametrize("side", [32, 224])
def test_the_centre_is_that_of_torchvision(size: tuple[int, int], side: int):
    ours = np.asarray(crops.centre((side, side))(image(*size)), dtype=int)
    theirs = np.asarray(Compose([Resize(round(side * 256 / 224)), CenterCrop(side)])(image(*size)), dtype=int)
    assert ours.shape == (side, side, 3)
    assert np.abs(ours - theirs).max() <= 1


def test_the_centre_of_sizes_that_are_not_square():
    assert crops.covering((224, 224), 375, 500) == (256, 341)
    assert crops.covering((224, 224), 500, 375) == (341, 256)
    assert crops.covering((224, 112), 500, 500) == (256, 256)
    assert crops.covering((112, 224), 300, 500) == (153, 256)
    picture = np.zeros((80, 80, 3), dtype=np.uint8)
    picture[:, 40:] = 200
    middle = np.asarray(crops.centre((56, 28))(Image.fromarray(picture)))
    assert middle.shape == (56, 28, 3) and (middle[:, :13] == 0).all() and (middle[:, 15:] == 200).all()


def test_a_long_and_thin_image_takes_no_more_memory_than_its_crop():
    thin = Image.new("RGB", (40_000, 1), (9, 9, 9))
    assert np.asarray(crops.centre((224, 224))(thin)).shape == (224, 224, 3)
    assert np.asarray(crops.random_resized((224, 224), 0, 0, 0, 0)(thin)).shape == (224, 224, 3)


def test_a_random_crop_depends_on_seed_stage_epoch_and_index_only():
    picture = image(120, 90)

    def pixels(*where: int) -> bytes:
        return crops.random_resized((32, 24), *where)(picture).tobytes()

    torch.manual_seed(5)
    before = pixels(0, 0, 1, 2)
    torch.manual_seed(6)
    assert pixels(0, 0, 1, 2) == before
    assert len({pixels(*where) for where in ((0, 0, 1, 2), (1, 0, 1, 2), (0, 1, 1, 2), (0, 0, 2, 2), (0, 0, 1, 3))}) == 5


def test_whole_images_have_no_crop():
    assert crops.clean("none", (32, 32)) is None
    assert crops.clean("imagenet", (32, 32))(image(50, 40)).size == (32, 32)
