"""Measuring a network the way the field measures."""

from __future__ import annotations

from .ranking import rank
from .result import RankResult

__all__ = ["RankResult", "rank"]
