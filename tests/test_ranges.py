"""Ranges of numbers that options have to be in."""

from dataclasses import dataclass, field

import pytest

from reid_srdl.errors import UserError
from reid_srdl.ranges import WHOLE, Range, check_ranges, number


@dataclass(frozen=True)
class Inner:
    rate: float = number(0.1, above=0)
    decays: tuple[float, ...] = number((0.9, 0.99), least=0, below=1, why=", or nothing is forgotten")


@dataclass(frozen=True)
class Options:
    batch: int = number(32, above=0, most=4096)
    share: float = number(0.5, least=0, most=1)
    views: int = number(0, least=0)
    below: float = number(0.0, least=0, below=1)
    limit: int | None = number(None, above=0)
    free: float = 0.0
    flag: bool = False
    word: str = "-1"
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(batch=0), "batch is 0. It must be above 0."), (Options(batch=5000), "batch is 5,000. It must be 4,096 at most."),
        (Options(share=1.01), "share is 1.01. It must lie between 0 and 1."), (Options(share=-1), "share is -1. It must lie between 0 and 1."),
        (Options(views=-1), "views is -1. It must not be below 0."), (Options(below=1), "below is 1. It must be below 1."),
        (Options(below=2.5), "below is 2.5. It must lie between 0 and 1."), (Options(limit=0), "limit is 0. It must be above 0."),
        (Options(inner=Inner(rate=0)), "inner.rate is 0. It must be above 0."),
        (Options(inner=Inner(decays=(0.5, 1))), "inner.decays[1] is 1. It must be below 1, or nothing is forgotten."),
        (Options(inner=Inner(decays=(-0.5,))), "inner.decays[0] is -0.5. It must lie between 0 and 1."),
        (Options(free=float("nan")), "free is nan. It must be a finite number."), (Options(inner=Inner(rate=float("inf"))), "inner.rate is inf. It must be a finite number."),
        (Options(views=10**30), "views is a whole number of 100 bits. It must fit into 63."),
        (Options(batch=10**5000), "batch is a whole number of 16,610 bits. It must be 4,096 at most."),
        (Options(free=-(10**19)), "free is a whole number of 64 bits. It must fit into 63."),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named_with_what_it_must_be(options, said):
    with pytest.raises(UserError) as caught:
        check_ranges(options)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("some", "words"),
    [(Range(above=0), "above 0"), (Range(least=0, most=1), "0 to 1"), (Range(least=0), "0 or more"), (Range(above=0, most=4096), "above 0, 4,096 at most"), (Range(least=0, below=1), "0 or more, below 1"), (Range(), "")],
)  # fmt: skip
def test_a_range_in_words(some, words):
    assert str(some) == words


def test_what_is_in_range_passes():
    check_ranges(Options())
    check_ranges(Options(batch=4096, share=1, views=WHOLE, below=0, limit=1, free=-3.5, flag=True, inner=Inner(rate=1e-9, decays=())))
