"""Images that are equal in every pixel, within and across splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .finding import Finding, all_paths, by_share, number
from .pixels import Scan
from .records import DISTRACTOR, Split

LEAK = 0.01
"""Share of test images that are in train as well, from which on scores mean nothing."""


def copy_findings(splits: Sequence[Split], seen: Scan, *, same_camera: bool) -> list[Finding]:
    """Images that are equal in every pixel, within and across splits."""
    names = [split.name for split in splits]
    rows = _Rows(
        paths=all_paths(splits),
        splits=np.repeat(np.arange(len(splits)), [len(split) for split in splits]),
        labels=np.concatenate([split.labels for split in splits]),
        cameras=np.concatenate([split.cameras for split in splits]),
        groups=seen.groups,
    )
    groups: dict[int, list[int]] = {}
    for row in np.flatnonzero((seen.groups >= 0) & (np.bincount(seen.groups + 1)[seen.groups + 1] > 1)).tolist():
        groups.setdefault(int(seen.groups[row]), []).append(row)
    copies = list(groups.values())
    return [
        *_leaks(rows, copies),
        *_found_by_themselves(rows, copies, names, same_camera),
        *_two_labels(rows, copies),
        *_repeats(rows, copies, names),
    ]


@dataclass(frozen=True, eq=False)
class _Rows:
    """The images of all splits, one after the other; train is split 0."""

    paths: np.ndarray
    splits: np.ndarray
    labels: np.ndarray
    cameras: np.ndarray
    groups: np.ndarray

    def images(self, rows: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.paths[row] for row in rows)


def _leaks(rows: _Rows, copies: list[list[int]]) -> list[Finding]:
    shared = [group for group in copies if len({rows.splits[row] == 0 for row in group}) == 2]
    tested = [row for group in shared for row in group if rows.splits[row] > 0]
    if not tested:
        return []
    share = len(tested) / max(1, int((rows.splits > 0).sum()))
    what = (
        f"{number(len(tested), 'test image is', 'test images are')} pixel for pixel in train as well ({share:.2%} "
        "of the test images)"
    )
    do = "Remove them from train" + (
        ": scores would be too good." if share >= LEAK else ", or mention them beside the scores."
    )
    return [
        Finding("stop" if share >= LEAK else "warn", what, do, rows.images(row for group in shared for row in group))
    ]


def _found_by_themselves(rows: _Rows, copies: list[list[int]], names: list[str], same_camera: bool) -> list[Finding]:
    if "query" not in names or "gallery" not in names:
        return []
    query, gallery = names.index("query"), names.index("gallery")
    free, ignored = [], []
    for group in copies:
        for row in (row for row in group if rows.splits[row] == query and rows.labels[row] > DISTRACTOR):
            twins = [twin for twin in group if rows.splits[twin] == gallery and rows.labels[twin] == rows.labels[row]]
            if any(same_camera or rows.cameras[twin] != rows.cameras[row] for twin in twins):
                free.append(row)
            elif twins:
                ignored.append(row)
    findings = []
    if free:
        what = (
            f"{number(len(free), 'query image lies', 'query images lie')} pixel for pixel in the gallery, where "
            "each finds itself: scores would be too good"
        )
        findings.append(Finding("stop", what, "Leave the gallery copies out.", rows.images(free)))
    if ignored:
        what = (
            f"{number(len(ignored), 'query image lies', 'query images lie')} pixel for pixel in the gallery, under "
            "the same camera"
        )
        findings.append(
            Finding(
                "note",
                what,
                "Scores ignore a person's images by the query's own camera, so this does no harm (with --ignore_camera it would).",
                rows.images(ignored),
            )
        )
    return findings


def _two_labels(rows: _Rows, copies: list[list[int]]) -> list[Finding]:
    doubtful = [group for group in copies if len(set(rows.labels[group].tolist())) > 1]
    if not doubtful:
        return []
    what = (
        f"{number(len(doubtful), 'picture stands', 'pictures stand')} under several labels ("
        f"{' = '.join(rows.paths[doubtful[0]][:3])})"
    )
    return [
        Finding(
            "warn",
            what,
            "At most one of the labels is right: correct it, or remove the copies.",
            rows.images(row for group in doubtful for row in group),
        )
    ]


def _repeats(rows: _Rows, copies: list[list[int]], names: list[str]) -> list[Finding]:
    findings = []
    for place, name in enumerate(names):
        repeated = []
        for group in copies:
            first: set[int] = set()
            for row in (row for row in group if rows.splits[row] == place):
                label = int(rows.labels[row])
                repeated += [row] if label in first else []
                first.add(label)
        if repeated:
            what = (
                f"{number(len(repeated), 'image', 'images')} in {name} repeat{'s' if len(repeated) == 1 else ''} "
                "another of the same label pixel for pixel"
            )
            findings.append(
                Finding(
                    by_share(len(repeated), int((rows.splits == place).sum())),
                    what,
                    "Copies weigh twice and teach nothing: remove them if you can.",
                    rows.images(repeated),
                )
            )
    return findings
