"""Pixels of the size of the network."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from reid_srdl.data.decoding import decode
from reid_srdl.export import samples


def test_images_are_drawn_by_the_seed_and_are_those_of_the_files(trained, people):
    one, again = (samples.pixels(trained, people.train, 20, seed=1, purpose="check") for _ in range(2))
    other = samples.pixels(trained, people.train, 20, seed=2, purpose="check")
    assert one.dtype == torch.uint8 and one.shape == (20, 3, 32, 16) and torch.equal(one, again) and not torch.equal(one, other)
    there = {decode(file).transpose(2, 0, 1).tobytes() for file in people.train.files}
    assert {image.numpy().tobytes() for image in one} <= there
    assert len(samples.pixels(trained, people.query, 10**6, seed=1, purpose="check")) == len(people.query)


def test_images_of_another_size_are_resized_as_the_network_sees_them(trained, people):
    larger = dataclasses.replace(trained, size=(48, 24))
    found = samples.pixels(larger, people.query, 3, seed=0, purpose="check")
    assert found.shape == (3, 3, 48, 24) and found.dtype == torch.uint8


def test_random_pictures_are_the_same_for_a_seed_and_no_mere_noise():
    one, again = (samples.random_pictures((32, 16), 4, seed=3) for _ in range(2))
    assert torch.equal(one, again) and one.shape == (4, 3, 32, 16) and one.dtype == torch.uint8
    values = one.numpy().astype(np.float64)
    assert np.abs(np.diff(values, axis=2)).mean() < 0.5 * values.std()
