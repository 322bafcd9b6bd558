"""What a run came to, on one page."""

from __future__ import annotations

from .page import ALL, NONE, Extras, write

__all__ = ["ALL", "NONE", "Extras", "write"]
