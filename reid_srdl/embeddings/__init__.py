"""Embeddings of images with what is known about each image (``vectors``), and their files (``opening``, and one module per format)."""

from __future__ import annotations

from .joining import UNKNOWN, check_joinable, joined, traits
from .opening import check_suffix, load, load_pair, save, write
from .result_file import load_result_mat
from .vectors import SAME_IMAGE, Embeddings, check_mirrored, no_text, short_hash

__all__ = [
    "SAME_IMAGE", "UNKNOWN", "Embeddings", "check_joinable", "check_mirrored", "check_suffix", "joined", "load", "load_pair", "load_result_mat", "no_text", "save", "short_hash", "traits",
    "write",
]  # fmt: skip
