"""The data doctor: finds what is wrong with a data set before an hour of training is lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from . import label_problems, matches
from .class_findings import class_findings
from .copies import copy_findings
from .finding import SEVERITIES, Finding, by_share, label_words, number
from .joined import parts_of
from .pixels import Scan, file_findings, scan
from .records import DISTRACTOR, JUNK, ClassData, ReIDData, Split


@dataclass(frozen=True)
class SplitCounts:
    """A row of the doctor's table of people; ``identities`` leaves junk and distractors out."""

    name: str
    images: int
    identities: int
    cameras: int
    distractors: int
    junk: int


@dataclass(frozen=True)
class ClassCounts:
    """A row of the doctor's table of classes."""

    name: str
    images: int
    classes: int


@dataclass(frozen=True)
class Diagnosis:
    counts: tuple[SplitCounts, ...] | tuple[ClassCounts, ...]
    findings: tuple[Finding, ...]

    @property
    def stops(self) -> bool:
        return any(finding.severity == "stop" for finding in self.findings)


def splits_of(data: ReIDData | ClassData) -> list[Split]:
    """The splits of a data set, train first. Labels of classes count from 1 here, as those of people do, so that 0 and -1 mean the same everywhere."""
    if isinstance(data, ReIDData):
        return [split for split in (data.train, data.query, data.gallery, data.multi_query) if split is not None]
    return [
        dataclasses.replace(split, labels=split.labels + 1, label_names=data.class_names)
        for split in (data.train, data.val, data.test)
        if split is not None
    ]


def examine(
    data: ReIDData | ClassData,
    *,
    same_camera: bool = False,
    workers: int = 2,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> tuple[Diagnosis, Scan]:
    """Looks at all labels, and decodes every image.

    Args:
        data: as its reader made it.
        same_camera: images of a query's own camera count as matches (``--ignore_camera``).
        workers: threads that decode.
        track: wraps the iteration over the images, for a progress bar.

    Returns:
        the diagnosis, and what was seen of the images, in the order of ``splits_of(data)``, one split after the other.
    """
    splits = splits_of(data)
    seen = scan([file for split in splits for file in split.files], workers=workers, track=track)
    findings = [Finding("stop", what, do) for what, do in label_problems(data)]
    if isinstance(data, ReIDData):
        findings += people_findings(data, same_camera=same_camera)
        counts = tuple(_counts(split) for split in splits)
        if len(parts := parts_of(data)) > 1:
            counts += tuple(dataclasses.replace(_counts(split), name=f"{part.name}: {split.name}") for part in parts for split in splits_of(part))
    else:
        findings += class_findings(data)
        counts = tuple(ClassCounts(split.name, len(split), len(split.identities)) for split in splits)
    findings += file_findings(splits, seen, people=isinstance(data, ReIDData))
    findings += copy_findings(splits, seen, same_camera=same_camera)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(counts, tuple(findings)), seen


def _counts(split: Split) -> SplitCounts:
    distractors, junk = int((split.labels == DISTRACTOR).sum()), int((split.labels == JUNK).sum())
    return SplitCounts(split.name, len(split), len(split.identities), len(np.unique(split.cameras)), distractors, junk)


def people_findings(data: ReIDData, *, same_camera: bool) -> list[Finding]:
    """Findings from labels and cameras alone."""
    return [*_overlap(data), *_queries(data, same_camera), *_training_people(data), *_test_roles(data)]


def _overlap(data: ReIDData) -> list[Finding]:
    both = np.intersect1d(data.train.identities, np.union1d(data.query.identities, data.gallery.identities))
    if not len(both):
        return []
    what = (
        f"{number(len(both), 'person is', 'people are')} in train and in query or gallery "
        f"({label_words(data.train, both)}): scores would be too good"
    )
    return [
        Finding(
            "stop",
            what,
            "Take them out of train, or out of query and gallery. If they are different people, give them different "
            "labels.",
        )
    ]


def _queries(data: ReIDData, same_camera: bool) -> list[Finding]:
    query, gallery = data.query, data.gallery
    findings = []
    counts = matches.count(query.labels, query.cameras, gallery.labels, gallery.cameras, same_camera=same_camera)
    unmatched = np.flatnonzero(counts.matches == 0)
    known = np.isin(query.identities, gallery.identities).any()
    if len(unmatched) and known:
        severity: Literal["stop", "warn"] = "stop" if len(unmatched) == len(query) else "warn"
        do = "There is nothing to score." if severity == "stop" else "They are counted and left out of the scores."
        findings.append(
            Finding(severity, matches.why_unmatched(counts), do, tuple(query.paths[row] for row in unmatched))
        )
    elif known:
        what = (
            f"every query has a valid match ({counts.matches.sum():,} matches in all, {counts.matches.min():,} at "
            "least)"
        )
        findings.append(Finding("note", what))
    nobody = int((query.labels <= DISTRACTOR).sum())
    if nobody:
        what = (
            f"{number(nobody, 'query image has', 'query images have')} the label 0 or -1, which mean distractor and "
            "junk and match nothing"
        )
        findings.append(Finding("warn", what, "Label them with their person, or leave them out."))
    if data.multi_query is not None:
        have = set(zip(data.multi_query.labels.tolist(), data.multi_query.cameras.tolist(), strict=True))
        lacking = sum(pair not in have for pair in zip(query.labels.tolist(), query.cameras.tolist(), strict=True))
        if lacking:
            what = f"{number(lacking, 'query has', 'queries have')} no multi-query image of the same person and camera"
            findings.append(
                Finding("warn", what, "In the multi-query score they stand alone; single-query scores do not change.")
            )
    return findings


def _training_people(data: ReIDData) -> list[Finding]:
    train = data.train
    identities, counts = np.unique(train.labels[train.labels > DISTRACTOR], return_counts=True)
    pairs = np.unique(np.stack([train.labels, train.cameras]), axis=1)
    _, of_cameras = np.unique(pairs[0][pairs[0] > DISTRACTOR], return_counts=True)
    findings = []
    single = identities[counts == 1]
    if len(single):
        what = (
            f"{number(len(single), 'training person has', 'training people have')} one image only "
            f"({label_words(train, single)})"
        )
        findings.append(
            Finding(
                by_share(len(single), len(identities)),
                what,
                "Nothing can be learnt of what stays the same about them: add images, or leave them out.",
            )
        )
    everywhere = np.unique(np.concatenate([train.cameras, data.query.cameras, data.gallery.cameras]))
    if len(everywhere) == 1:
        what = f"all images are of one camera ({everywhere[0]})"
        findings.append(
            Finding(
                "warn",
                what,
                "If there were several, say so in the file names (anna_c2_001.jpg) or in the CSV; else score with "
                "--ignore_camera.",
            )
        )
    elif len(of_one := identities[(of_cameras == 1) & (counts > 1)]):
        what = (
            f"{number(len(of_one), 'training person is', 'training people are')} seen by one camera only "
            f"({label_words(train, of_one)})"
        )
        findings.append(
            Finding(
                by_share(len(of_one), len(identities)),
                what,
                "They teach little about recognising people across cameras.",
            )
        )
    return findings


def _test_roles(data: ReIDData) -> list[Finding]:
    gallery = data.gallery
    findings = []
    junk, distractors = int((gallery.labels == JUNK).sum()), int((gallery.labels == DISTRACTOR).sum())
    if junk:
        findings.append(
            Finding(
                "note",
                f"{number(junk, 'gallery image is', 'gallery images are')} junk (label -1): neither right nor "
                "wrong, and never embedded",
            )
        )
    unasked = np.setdiff1d(gallery.identities, data.query.identities)
    if distractors or len(unasked):
        others = int(np.isin(gallery.labels, unasked).sum())
        parts = [f"{number(distractors, 'distractor', 'distractors')} (label 0)"] if distractors else []
        if len(unasked):
            people = number(len(unasked), "person", "people")
            parts.append(f"{number(others, 'image', 'images')} of {people} that no query asks for")
        findings.append(
            Finding(
                "note", f"the gallery holds {' and '.join(parts)}: wrong answers for every query, as in real search"
            )
        )
    return findings
