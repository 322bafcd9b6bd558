"""Every choice a run is made of (``fields``), how choices are read and merged (``parsing``, from ``words`` and ``recipes``) and written down (``saving``)."""

from __future__ import annotations

import os
from pathlib import Path

from .. import files
from .checks import check
from .fields import (
    MEAN,
    MOST_PIXELS,
    MOST_THREADS,
    STD,
    AugmentConfig,
    Config,
    DataConfig,
    LogConfig,
    ModelConfig,
    PlanConfig,
    StageConfig,
    TeacherConfig,
)
from .learning import EmaConfig, LossConfig, MetricConfig, OptimiserConfig, ReferenceConfig, ScheduleConfig
from .parsing import load, parse
from .recipes import recipe, recipe_names
from .saving import as_yaml, changed, save

__all__ = [
    "DATA_ROOT", "MEAN", "MOST_PIXELS", "MOST_THREADS", "STD", "AugmentConfig", "Config", "DataConfig", "EmaConfig", "LogConfig", "LossConfig", "MetricConfig", "ModelConfig", "OptimiserConfig", "PlanConfig",
    "ReferenceConfig", "ScheduleConfig", "StageConfig", "TeacherConfig", "as_yaml", "changed", "check", "data_root", "load", "parse", "recipe",
    "recipe_names", "save",
]  # fmt: skip


DATA_ROOT = "datasets"
"""Where data sets are when nobody says where."""


def data_root(given: str | None) -> Path:
    """``--data-root``, or else ``$REID_DATA``, or else ``DATA_ROOT``."""
    return files.expanded(given or os.environ.get("REID_DATA") or DATA_ROOT)
