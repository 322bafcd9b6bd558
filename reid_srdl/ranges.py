"""Which numbers a field of a dataclass may be: said where the field is declared, and checked wherever its options are read."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import UserError

WHOLE = 2**63 - 1
"""The largest whole number that libraries take."""

_KEY = "range"


@dataclass(frozen=True)
class Range:
    """Numbers from ``least`` or beyond ``above``, up to ``most`` or short of ``below``; ``why`` is what a refusal by the upper end adds."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    why: str = ""

    def __str__(self) -> str:
        """In words, as help has it; ``0 to 1``, or each end that there is."""
        if self.least is not None and self.most is not None:
            return f"{self.least:,} to {self.most:,}"
        ends = (("above {:,}", self.above), ("{:,} or more", self.least), ("below {:,}", self.below), ("{:,} at most", self.most))
        return ", ".join(words.format(end) for words, end in ends if end is not None)

    def refused(self, value: float) -> str:
        """What ``value`` must be instead, as a sentence; empty where it is in the range."""
        low = (self.above is not None and not value > self.above) or (self.least is not None and not value >= self.least)
        high = (self.below is not None and not value < self.below) or (self.most is not None and not value <= self.most)
        upper = self.below if self.below is not None else self.most
        if high and (self.why or self.least is None or value == self.below):
            return f"It must be {f'below {self.below:,}' if self.below is not None else f'{self.most:,} at most'}{self.why}."
        if (high or low) and self.least is not None and upper is not None:
            return f"It must lie between {self.least:,} and {upper:,}."
        if low:
            return f"It must be above {self.above:,}." if self.above is not None else f"It must not be below {self.least:,}."
        return ""


def number(default: Any, *, above: float | None = None, least: float | None = None, below: float | None = None, most: float | None = None, why: str = "") -> Any:
    """A field of a dataclass whose number, or numbers in a tuple, are in a ``Range``; None is in every one."""
    return dataclasses.field(default=default, metadata={_KEY: Range(above, least, below, most, why)})


def range_of(field: dataclasses.Field[Any]) -> Range:
    """That of a field; all numbers where it was not declared by ``number``."""
    return field.metadata.get(_KEY, Range())


def check_ranges(options: Any, prefix: str = "") -> None:
    """Looks at all numbers of a dataclass and of those in it.

    Args:
        options: the dataclass.
        prefix: that its fields are named by, such as ``data.``.

    Raises:
        UserError: one is out of its field's range, not finite, or a whole number beyond ``WHOLE`` (or below its negative).
    """
    for field in dataclasses.fields(options):
        value, key = getattr(options, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            check_ranges(value, f"{key}.")
            continue
        for name, one in _numbers(key, value):
            if isinstance(one, float) and not math.isfinite(one):
                raise UserError(f"{name} is {one}", "It must be a finite number.")
            must = range_of(field).refused(one)
            if isinstance(one, int) and abs(one) > WHOLE:  # Python refuses to write one of thousands of digits
                raise UserError(f"{name} is a whole number of {one.bit_length():,} bits", must or "It must fit into 63.")
            if must:
                raise UserError(f"{name} is {one:,}" if isinstance(one, int) else f"{name} is {one:g}", must)


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in a field's value, each with the name to call it by."""
    parts = [(f"{key}[{place}]", part) for place, part in enumerate(value)] if isinstance(value, tuple) else [(key, value)]
    return ((name, part) for name, part in parts if isinstance(part, (int, float)) and not isinstance(part, bool))
