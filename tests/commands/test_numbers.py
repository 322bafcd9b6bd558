"""Lists of numbers on the command line."""

from __future__ import annotations

import pytest

from reid_srdl.commands.embed import EmbedOptions
from reid_srdl.commands.numbers import joined
from reid_srdl.config import parse
from reid_srdl.models.exported import InputOptions


@pytest.mark.parametrize(
    "words",
    [
        ["--input.size", "256", "128", "--input.mean", "0.5", "-0.4", "0", "--flip"],
        ["--flip", "--input.size=[256,128]", "--input.mean=0.5", "-0.4", "0"],
        ["--input.mean", "[0.5,-0.4,0]", "--input.size=256,128", "--flip"],
    ],
)
def test_numbers_may_stand_as_words(words):
    options = parse(EmbedOptions, joined(words))
    assert options.input == InputOptions((256, 128), (0.5, -0.4, 0.0)) and options.flip


def test_other_words_stay():
    words = ["--checkpoint", "a", "--images", "b", "c", "--batch=2"]
    assert joined(words) == words
