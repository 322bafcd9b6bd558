"""What the soft targets of a run are like, written down beside them when they are made, and how far the trained network follows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .. import config as configuration
from .. import diagnostics, files, inference, runs
from ..data.records import Split
from . import reference as references
from .material import readable
from .reference import Reference

COMPARED = 2000
"""Two networks are compared on at most so many training images; at an agreement of 90 % the standard error is 0.7 points."""
_BLOCK = 1 << 22
"""Float64 numbers (images times classes) in memory at a time."""


def note(reference: Reference, targets: np.ndarray, temperature: float, folder: Path) -> str:
    """Writes ``diagnostics.json`` into the folder of the soft targets, and says what they are like in one line.

    Args:
        reference: of N training images.
        targets: int64 ``(N,)`` in 0..C-1.
        temperature: at which it is imitated.
        folder: of its stage.
    """
    found = diagnostics.describe(_pieces(reference, targets), temperature)
    files.write_json(folder / diagnostics.FILE, {"soft_targets": found.as_json(), "verdict": diagnostics.verdict(found)})
    return diagnostics.line(found)


def _pieces(reference: Reference, targets: np.ndarray) -> Iterator[diagnostics.Piece]:
    step = max(1, _BLOCK // reference.num_classes)
    for start in range(0, len(reference), step):
        rows = torch.arange(start, min(start + step, len(reference)))
        yield reference.rows(rows), torch.from_numpy(targets[rows.numpy()])


def compare(run: Path, device: str, split: Split, track: inference.Track = iter) -> None:
    """Adds to each ``diagnostics.json`` of a run how the beliefs of its last network agree with the soft targets.

    Args:
        run: a finished run.
        device: where its network is used.
        split: the training split; nothing is added where the soft targets are of another list of images.
        track: wraps the iteration over batches, for a progress bar.
    """
    noted = [folder for folder in sorted((run / "stages").iterdir()) if (folder / diagnostics.FILE).is_file() and (folder / runs.REFERENCE).is_file()]
    if not noted:
        return
    split = split.without_junk()
    made = {folder: references.load(folder / runs.REFERENCE) for folder in noted}
    if split.hash() not in {reference.split_hash for reference in made.values()}:  # finding the images that the run left out takes time
        split = readable(split, configuration.load(run / runs.CONFIG).data)
    made = {folder: reference for folder, reference in made.items() if reference.split_hash == split.hash()}
    if not made:
        return
    rows = np.unique(np.linspace(0, len(split) - 1, min(COMPARED, len(split))).astype(np.int64))
    trained = runs.load(run, device)
    source = trained.source([split.files[row] for row in rows])
    own = torch.from_numpy(inference.logits(trained.network, source, size=trained.size, place=trained.place, track=track))
    for folder, reference in made.items():
        noted_before = files.read_json(folder / diagnostics.FILE)
        temperature = noted_before["soft_targets"]["temperature"]
        found = diagnostics.agreement(reference.rows(torch.from_numpy(rows)), own, temperature)
        files.write_json(folder / diagnostics.FILE, {**noted_before, "last_network": dataclasses.asdict(found)})
