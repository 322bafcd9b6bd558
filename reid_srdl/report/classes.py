"""Where a classifier errs: its most confident mistakes, and the classes that it knows worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ..evaluation.predictions import Predictions
from .again import reporting, scoring
from .evaluated import Evaluated
from .html import missing, named, percent, section, table
from .lists import pictures_of, shot
from .words import count

MISTAKES = 12
WORST = 10


@dataclass(frozen=True)
class ClassFigures:
    """How well a class is recognised.

    Args:
        label: that of the data set.
        images: how many of its images were scored.
        right: the share of them that is classified right.
        taken_for: the label that the others are most often taken for, and how often; none where all are right.
    """

    label: int
    images: int
    right: float
    taken_for: tuple[int, int] | None


def mistakes(said: Predictions, most: int = MISTAKES) -> list[int]:
    """Rows of the wrong predictions with the highest confidence, the highest first."""
    wrong = np.flatnonzero(~said.right)
    return wrong[np.argsort(-said.confidence[wrong], kind="stable")][:most].tolist()


def worst(said: Predictions, most: int = WORST) -> list[ClassFigures]:
    """The classes with the smallest share of right predictions, the smallest first; of equal ones the lower label."""
    found = []
    for label in np.unique(said.labels).tolist():
        predicted = said.predicted[said.labels == label]
        others, counts = np.unique(predicted[predicted != label], return_counts=True)
        taken_for = (int(others[counts.argmax()]), int(counts.max())) if len(others) else None
        found.append(ClassFigures(label, len(predicted), float((predicted == label).mean()), taken_for))
    return sorted(found, key=lambda figures: figures.right)[:most]


def classes_section(run: Path, evaluated: Evaluated | None, roots: Sequence[Path]) -> str:
    """Mistakes and classes; empty where nothing was classified."""
    if evaluated is None or not evaluated.classifies:
        return ""
    title, said = "Where it errs", evaluated.predictions
    if said is None:
        return section(title, missing("What was said of each image was not kept. It comes from", scoring(run, evaluated)))
    return section(title, _mistakes(run, evaluated, said, roots), _worst(said))


def _mistakes(run: Path, evaluated: Evaluated, said: Predictions, roots: Sequence[Path]) -> str:
    rows = mistakes(said)
    if not rows:
        return f'<p class="note">Nowhere: all of {count(len(said), "image")} are right.</p>'
    pictures = pictures_of((said.paths[row] for row in rows), roots)
    gone = "" if pictures else missing(
        "The images are not where they were, so only their names are shown. Say where the data set is:",
        reporting(run, evaluated.dataset, "DIR"),
    )  # fmt: skip
    wrong = int((~said.right).sum())
    return (
        f'<h3>The most confident mistakes</h3>\n<p class="note">{count(wrong, "image is", "images are")} wrong; of these it was surest.</p>\n{gone}'
        f'<ol class="mistakes">{"".join(_mistake(said, row, pictures) for row in rows)}</ol>'
    )


def _mistake(said: Predictions, row: int, pictures: Mapping[str, bytes]) -> str:
    label, taken = said.name(int(said.labels[row])), said.name(int(said.predicted[row]))
    caption = f"<b>{escape(label)}</b><br>taken for {escape(taken)}<br>{100 * said.confidence[row]:.1f} % sure"
    return f'<li class="mistake">{shot(pictures.get(said.paths[row]), said.paths[row], label)}<span class="caption">{caption}</span></li>'


def _worst(said: Predictions) -> str:
    shown = worst(said)
    rows: list[Sequence[str]] = []
    for figures in shown:
        taken = f"{escape(said.name(figures.taken_for[0]))}<small> ({figures.taken_for[1]})</small>" if figures.taken_for else "–"
        rows.append([named(said.name(figures.label)), f"{figures.images:,}", percent(figures.right), taken])
    several = len(np.unique(said.labels))
    title = "The classes" if len(shown) == several else f"The worst of {several:,} classes"
    return f"<h3>{title}</h3>\n" + table(["Class", "Images", "Right", "Most often taken for"], rows)
