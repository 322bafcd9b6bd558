"""The report of a run on one page, and its model card."""

from __future__ import annotations

from .page import ALL, NONE, Extras, write

__all__ = ["ALL", "NONE", "Extras", "write"]
