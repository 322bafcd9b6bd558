import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomErasing

from reid_srdl.config import AugmentConfig
from reid_srdl.data.augment import MEAN, STD, Augment, Draws, clean, in_two_steps, normalised, resized

SIZE = (12, 8)


def images(count=3, size=SIZE):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, *size), dtype=np.uint8))


def drawn(flip, top, left, erase=(0, 0, 0, 0)):
    return Draws(torch.tensor([flip]), torch.tensor([top]), torch.tensor([left]), torch.tensor([erase]))


def padded_and_cropped(image, pad, top, left, flip, mode):
    """By NumPy: pad, crop at (pad + top, pad + left), mirror."""
    array = np.pad(image.numpy(), [(0, 0), (pad, pad), (pad, pad)], mode="reflect" if mode == "reflect" else "constant")
    array = array[:, pad + top : pad + top + SIZE[0], pad + left : pad + left + SIZE[1]]
    return array[:, :, ::-1].copy() if flip else array


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (-4, 3), (4, -4), (1, 4)])
def test_crop_and_flip_against_numpy(flip, top, left):
    image = images(1)
    out = Augment(AugmentConfig(), SIZE)(image, drawn(flip, top, left))
    expected = normalised(torch.from_numpy(padded_and_cropped(image[0], 4, top, left, flip, "reflect"))[None])
    assert torch.equal(out, expected)


def test_zero_padding_is_black():
    image = images(1)
    out = Augment(AugmentConfig(pad_mode="zeros"), SIZE)(image, drawn(True, -4, 2))
    assert torch.equal(out, normalised(torch.from_numpy(padded_and_cropped(image[0], 4, -4, 2, True, "zeros"))[None]))


def test_nothing_drawn_is_the_clean_image():
    image = images()
    config = AugmentConfig(flip=0, pad=0)
    augment = Augment(config, SIZE)
    assert torch.equal(augment(image, augment.draw(3, torch.Generator())), clean(image, SIZE))


def test_erasing_blanks_its_box_and_nothing_else():
    image = images(1)
    out = Augment(AugmentConfig(erase=1.0), SIZE)(image, drawn(False, 0, 0, (2, 3, 4, 2)))
    expected = clean(image, SIZE).clone()
    expected[:, :, 2:6, 3:5] = 0
    assert torch.equal(out, expected)


def test_draws_are_fresh_for_every_image_and_in_range():
    draws = Augment(AugmentConfig(erase=0.5), (128, 64)).draw(4000, torch.Generator().manual_seed(0))
    assert abs(draws.flip.double().mean() - 0.5) < 0.05
    assert draws.top.min() == -4 and draws.top.max() == 4 and draws.left.unique().tolist() == list(range(-4, 5))
    assert abs((draws.top == draws.left).double().mean() - 1 / 9) < 0.02, "rows and columns each have their own"
    top, left, height, width = draws.erase.unbind(1)
    assert abs((height > 0).double().mean() - 0.5) < 0.05
    assert (top >= 0).all() and (top + height <= 128).all() and (left + width <= 64).all()
    area = (height * width)[height > 0] / (128 * 64)
    assert 0.015 < area.min() and area.max() < 0.42


def test_a_box_that_does_not_fit_is_drawn_again_as_torchvision_does():
    """Cut to the image's size instead, one in six would be a band of its whole width."""
    size, chance = (64, 32), torch.Generator().manual_seed(0)
    height, width = Augment(AugmentConfig(erase=1.0), size).draw(6000, chance).erase[:, 2:].unbind(1)
    assert (height < size[0]).all() and (width < size[1]).all() and (height * width > 0).all()
    torch.manual_seed(0)
    theirs = torch.tensor([RandomErasing.get_params(torch.zeros(3, *size), (0.02, 0.4), (0.3, 1 / 0.3), [0.0])[2:4] for _ in range(6000)]).float()
    for ours, other in ((height, theirs[:, 0]), (width, theirs[:, 1]), (height * width, theirs.prod(dim=1))):
        error = (ours.float().var() / 6000 + other.var() / 6000).sqrt()
        assert abs(ours.float().mean() - other.mean()) < 4 * error


def test_erased_boxes_are_as_wide_or_as_high_as_in_the_paper():
    """Zhong et al. 2020: aspects from 0.3 to 1/0.3; half of them are higher than wide."""
    draws = Augment(AugmentConfig(erase=1.0), (256, 256)).draw(4000, torch.Generator().manual_seed(0))
    aspect = (draws.erase[:, 2] / draws.erase[:, 3]).log() / math.log(1 / 0.3)
    assert aspect.min().item() == pytest.approx(-1, abs=0.05) and aspect.max().item() == pytest.approx(1, abs=0.05)
    assert abs(aspect.mean()) < 0.05 and abs((aspect.abs() > 0.5).double().mean() - 0.5) < 0.05


def test_the_share_of_a_rank_is_a_part_of_the_whole():
    augment, image = Augment(AugmentConfig(), SIZE), images(5)
    draws = augment.draw(5, torch.Generator().manual_seed(1))
    whole = augment(image, draws)
    assert torch.equal(whole[2:4], augment(image[2:4], draws.take(2, 4)))


def test_resized_only_where_needed():
    image = images()
    assert resized(image, SIZE) is image
    assert resized(image, (24, 16)).shape == (3, 3, 24, 16)
    flat = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    assert torch.equal(resized(flat, (3, 5)), torch.full((1, 3, 3, 5), 100, dtype=torch.uint8))


@pytest.mark.parametrize(("method", "others"), [(resized, 0.01), (in_two_steps, 0.05)])
@pytest.mark.parametrize(("size", "wanted"), [((128, 64), (64, 32)), ((64, 32), (128, 64)), ((70, 35), (64, 32)), ((48, 21), (64, 32)), ((150, 100), (128, 64)), ((64, 50), (64, 32))])
def test_images_are_resized_to_what_pillow_makes_of_them(method, others, size, wanted):
    """In memory and in a decoder, on every device: else an image would have another vector in other company."""
    coarse = np.random.default_rng(0).integers(0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    pillow = np.asarray(picture.resize((wanted[1], wanted[0]), Image.Resampling.BILINEAR)).astype(int)
    ours = method(torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None], wanted)[0].permute(1, 2, 0).numpy().astype(int)
    assert np.abs(ours - pillow).max() <= 2 and (ours != pillow).mean() < others


def test_normalised():
    out = normalised(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    assert torch.allclose(out[0, :, 0, 0], torch.tensor([(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]), atol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_the_draw_of_erasing_does_not_move_the_other_draws():
    """So that arms with and without it share their crops."""
    with_it = Augment(AugmentConfig(erase=1.0), SIZE).draw(9, torch.Generator().manual_seed(3))
    without = Augment(dataclasses.replace(AugmentConfig(), erase=0.0), SIZE).draw(9, torch.Generator().manual_seed(3))
    assert torch.equal(with_it.flip, without.flip) and torch.equal(with_it.top, without.top)


def test_erased_boxes_reach_every_edge():
    top, left, height, width = Augment(AugmentConfig(erase=1.0), (32, 16)).draw(4000, torch.Generator().manual_seed(0)).erase.unbind(1)
    assert top.min() == left.min() == 0 and (top + height).max() == 32 and (left + width).max() == 16
