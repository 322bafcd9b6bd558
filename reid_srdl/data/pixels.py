"""What is in the image files: can they be decoded, how large are they, and which are the same picture."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError
from .decoding import decode
from .finding import Finding, all_paths, number
from .records import Split

TINY = (32, 16)
"""(height, width) in pixels below which little of a person is left."""
HUGE = 2048
"""Side in pixels above which an image is more likely a whole frame than a person."""

_WAITING = 512


@dataclass(frozen=True, eq=False)
class Scan:
    """N decoded files.

    Args:
        sizes: (height, width) in pixels, int64 ``(N, 2)``; (0, 0) where a file cannot be decoded.
        groups: int64 ``(N,)``; files of one group are equal in every pixel, -1 where a file cannot be decoded.
        errors: why a file cannot be decoded, by its index.
    """

    sizes: np.ndarray
    groups: np.ndarray
    errors: dict[int, str]


def scan(files: Sequence[Path], *, workers: int = 2, track: Callable[[Iterable[int]], Iterable[int]] = iter) -> Scan:
    """Decodes every file once, in threads; ``track`` wraps the iteration over them, for a progress bar."""

    def look(file: Path) -> tuple[tuple[int, int], bytes] | str:
        try:
            image = decode(file)
        except UserError as error:
            return error.message
        # The shape goes in, since 2 x 8 and 4 x 4 pixels may have the same bytes.
        digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(image))
        return image.shape[:2], digest.digest()

    sizes = np.zeros((len(files), 2), dtype=np.int64)
    groups = np.full(len(files), -1, dtype=np.int64)
    errors: dict[int, str] = {}
    known: dict[bytes, int] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        # Only so many files are queued at a time, so that an interrupt does not have to wait for the whole set.
        waiting = [pool.submit(look, file) for file in files[:_WAITING]]
        for index in track(range(len(files))):
            seen = waiting[index % _WAITING].result()
            if index + _WAITING < len(files):
                waiting[index % _WAITING] = pool.submit(look, files[index + _WAITING])
            if isinstance(seen, str):
                errors[index] = seen
            else:
                sizes[index], groups[index] = seen[0], known.setdefault(seen[1], len(known))
    return Scan(sizes, groups, errors)


def file_findings(splits: Sequence[Split], seen: Scan, *, people: bool = True) -> list[Finding]:
    """Unreadable images and odd sizes; ``people``: images should be crops of a person each."""
    paths = all_paths(splits)
    findings = []
    if seen.errors:
        rows = sorted(seen.errors)
        what = (
            f"{number(len(rows), 'image cannot', 'images cannot')} be read: "
            f"{'; '.join(seen.errors[row] for row in rows[:3])}"
        )
        trained = sum(len(split) for split in splits if split.name == "train")  # the training split comes first
        only = rows[-1] < trained
        do = "Restore or remove them. Training stops before its first step because of them" + (
            ", unless --data.skip_corrupt leaves them out." if only else " (--data.skip_corrupt leaves out training images only; --evaluate none trains without scoring)."
        )
        findings.append(Finding("stop", what, do, tuple(paths[rows])))
    readable = np.flatnonzero(seen.groups >= 0)
    if not len(readable):
        return findings
    sizes, times = np.unique(seen.sizes[readable], axis=0, return_counts=True)
    common = sizes[np.argmax(times)]
    whole = "all" if not seen.errors else "the other"
    if len(sizes) == 1:
        what = f"{whole} {len(readable):,} images can be read and are {common[1]} x {common[0]} pixels (width x height)"
        findings.append(Finding("note", what))
    else:
        odd = readable[(seen.sizes[readable] != common).any(axis=1)]
        if times.max() > 0.9 * len(readable):
            what = (
                f"{number(len(odd), 'image is', 'images are')} not of the size of the others ({common[1]} x "
                f"{common[0]} pixels)"
            )
            findings.append(
                Finding(
                    "warn",
                    what,
                    "All are resized, so this does no harm in itself; see that they are images like the others.",
                    tuple(paths[odd]),
                )
            )
        else:
            (low, high), (narrow, wide) = np.quantile(seen.sizes[readable], [0.05, 0.95], axis=0).T.astype(int)
            what = (
                f"images are of {len(sizes):,} sizes, most of them {low} to {high} pixels high and {narrow} to "
                f"{wide} wide"
            )
            findings.append(
                Finding("note", what, "They are resized to the training size (--data.height, --data.width).")
            )
    return findings + (_crop_findings(seen.sizes[readable], paths[readable]) if people else [])


def _crop_findings(sizes: np.ndarray, paths: np.ndarray) -> list[Finding]:
    """Images that are hardly crops of a person. ``sizes`` ``(N, 2)``, ``paths`` ``(N,)``."""
    findings = []
    height, width = sizes.T
    for odd, what, do in (
        (
            (height < TINY[0]) | (width < TINY[1]),
            f"smaller than {TINY[1]} x {TINY[0]} pixels",
            "Little of a person is left at that size: drop them if you can.",
        ),
        (
            (height > HUGE) | (width > HUGE),
            f"larger than {HUGE:,} pixels",
            "Are they whole frames? Train and search on crops of one person each.",
        ),
        (
            width > height,
            "wider than tall",
            "Standing people are taller than wide: look whether these are crops of one person.",
        ),
    ):
        if odd.any():
            findings.append(
                Finding(
                    "warn",
                    f"{number(int(odd.sum()), 'image is', 'images are')} {what}",
                    do,
                    tuple(paths[odd]),
                )
            )
    return findings
