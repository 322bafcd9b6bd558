"""Which options were given, and which have to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import pytest

from reid_srdl.commands.options import given, require
from reid_srdl.errors import UserError


@dataclass(frozen=True)
class Some:
    checkpoint: Optional[str] = None
    output: Optional[str] = None
    batch: int = 64
    flip: bool = False


def test_the_first_that_is_missing_is_named_with_the_way_out():
    require(Some("runs/a", "a.npz"), ("checkpoint", "output"), "embed", "")
    with pytest.raises(UserError, match=r"^embed needs --output. For instance: embed$"):
        require(Some("runs/a"), ("checkpoint", "output"), "embed", "For instance: embed")


def test_options_are_given_where_they_are_not_as_by_default():
    assert given(Some(flip=True, batch=8, output="a"), ("flip", "batch", "checkpoint")) == ["batch", "flip"]
    assert given(Some(batch=64), {"batch", "flip"}) == []
