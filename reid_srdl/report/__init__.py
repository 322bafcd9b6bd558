"""What a run came to, on one page."""

from __future__ import annotations

from .page import write

__all__ = ["write"]
