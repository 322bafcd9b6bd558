"""What a run leaves behind: its folder (``layout``), the file of a network (``model_file``), and ``load``, which takes one into use (``trained``)."""

from __future__ import annotations

from .classes import check_same_classes
from .layout import (
    AVERAGED,
    BEST,
    CALIBRATION,
    CONFIG,
    FACTS,
    LAST,
    LOG,
    METRICS,
    MODEL,
    REFERENCE,
    REPORT,
    RESUME,
    checkpoint_file,
    classifies,
    finished_stages,
    is_adopted,
    read_facts,
    read_log,
    score_file,
    stage_folder,
)
from .model_file import ModelFile, hash_in, network_of, read_model, save_model, state_hash
from .trained import Trained, load

__all__ = [
    "AVERAGED", "BEST", "CALIBRATION", "CONFIG", "FACTS", "LAST", "LOG", "METRICS", "MODEL", "REFERENCE", "REPORT", "RESUME", "ModelFile", "Trained",
    "check_same_classes", "checkpoint_file", "classifies", "finished_stages", "hash_in", "is_adopted", "load", "network_of", "read_facts", "read_log", "read_model", "save_model", "score_file", "stage_folder",
    "state_hash",
]  # fmt: skip
