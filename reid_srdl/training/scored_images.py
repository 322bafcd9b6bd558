"""Which images a run is scored on while it trains: the log of a stage, and the epoch that it keeps, depend on them."""

from __future__ import annotations

from .. import files
from ..data import parts_of
from ..data.records import ClassData, ReIDData, Split


def scored_hash(data: ReIDData | ClassData, split: str) -> str:
    """Hash of the images that are scored, their labels, and the cameras that decide which are matches; a missing split is left out.

    Args:
        data: of the run.
        split: ``val`` or ``test``, as ``log.eval_split`` has it.
    """
    splits = [part for whole in parts_of(data) for part in _splits(whole, split) if part is not None]
    return files.sha256_json([[part.hash(), part.cameras.tolist()] for part in map(Split.without_junk, splits)])


def _splits(data: ReIDData | ClassData, split: str) -> tuple[Split | None, ...]:
    if isinstance(data, ClassData):
        return (data.test if split == "test" else data.val,)
    return (data.query, data.gallery) if split == "test" else (data.val_query, data.val_gallery)
