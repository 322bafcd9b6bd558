"""Which options were given to a command, and which have to be."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

from ..errors import UserError


def require(options: Any, names: Sequence[str], prog: str, hint: str) -> None:
    """Raises ``UserError`` for the first of the names that is not given: such options are null by default."""
    for name in names:
        if getattr(options, name) is None:
            raise UserError(f"{prog} needs --{name}", hint)


def given(options: Any, names: Collection[str]) -> list[str]:
    """Those of the names that are not as by default, in the order of the options."""
    usual = type(options)()
    return [field.name for field in fields(options) if field.name in names and getattr(options, field.name) != getattr(usual, field.name)]
