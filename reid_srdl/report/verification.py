"""Verification: how far apart pairs of images of the same person and of different people are, from the run's ``calibration.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..shell import command
from . import drawing
from .drawing import COLOURS, DASHES
from .html import beside, figure, missing, named, percent, section, table
from .words import METRICS, count

if TYPE_CHECKING:
    from ..evaluation.calibration import Calibration

TITLE = "The same person or not"
HARDEST = 8
"""Pairs of cameras that are named."""


def verification_section(run: Path, classifies: bool, found: Calibration | None, model: str | None = None) -> str:
    """Distances, errors and pairs of cameras; empty where the network tells classes apart.

    Args:
        run: the run folder.
        classifies: whether the network tells classes apart, not people.
        found: what ``calibrate`` found, where it was run.
        model: hash of the run's network, where it is known.
    """
    if classifies:
        return ""
    again = command("calibrate", run)
    if found is None or "histogram" not in found.facts:
        return section(TITLE, missing("At which distance two images show the same person was not measured. It is by", again))
    stale = missing("This was measured with other weights than the run has now. Measure again by", again) if model and found.model != model else ""
    return section(TITLE, f'<p class="note">{escape(_about(found))}</p>', stale, beside(_table(found.facts), _figures(found)), _cameras(found.facts))


def _about(found: Calibration) -> str:
    facts = found.facts
    splits = {"val": "people held out from training", "test": "test people", "train": "the training people themselves, so that all of this is too good"}
    pairs = facts["pairs"]
    apart = ", each pair from two cameras" if facts.get("across_cameras") else ""
    return (
        f"{count(pairs['genuine'], 'pair')} of images of the same person and {pairs['impostor']:,} of different people{apart}: {count(pairs['identities'], 'person', 'people')} "
        f"of {facts['dataset']} ({splits.get(facts['split'], facts['split'])}). By {METRICS[found.metric]}{', mirrored images averaged in' if found.flip else ''}. "
        "In brackets 95 % intervals, over whole people, since pairs share them."
    )


def _table(facts: Mapping[str, Any]) -> str:
    rows = [
        [named("EER", "at the threshold where as many pairs of one person are missed as others are let through"), percent(facts["eer"]) + _interval(facts.get("eer_low"), facts.get("eer_high"))],
        [named("Distance of the EER", "that threshold"), f"{facts['eer_threshold']:.4g}"],
    ]
    for rate, at in sorted(facts["tpr_at_fpr"].items(), key=lambda item: -float(item[0])):
        name = named(f"TPR at FPR {100 * float(rate):g} %", f"pairs of one person that are found while 1 in {round(1 / float(rate)):,} others is let through")
        rows.append([name, "–<small> too few pairs</small>" if at is None else percent(at["tpr"]) + _interval(at.get("low"), at.get("high"))])
    return table([], rows)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"<small> ({100 * low:.1f} to {100 * high:.1f})</small>"


def _figures(found: Calibration) -> str:
    drawn = [
        figure(
            distances(found.facts["histogram"], threshold=found.facts["eer_threshold"], across=METRICS[found.metric]),
            "Distances",
            "Share of each kind of pair in a bin; on the dotted line the threshold of the EER",
        ),
        figure(roc(found.facts["roc"], eer=found.facts["eer"]), "ROC", "Pairs of the same person that are found, by the share of others let through; the dot is the EER"),
    ]
    return "".join(drawn)


def _cameras(facts: Mapping[str, Any]) -> str:
    known = [pair for pair in facts.get("camera_pairs") or [] if pair["eer"] is not None]
    if len(known) < 2:
        return ""
    shown = sorted(known, key=lambda pair: -pair["eer"])[:HARDEST]
    rows = [[named(f"{pair['cameras'][0]} and {pair['cameras'][1]}"), percent(pair["eer"], 2), f"{pair['genuine']:,}", f"{pair['impostor']:,}"] for pair in shown]
    left = f"The hardest {len(shown)} of {len(known):,} pairs of cameras" if len(shown) < len(known) else "By pair of cameras"
    note = '<p class="note">Each at its own threshold of equal errors, with the pairs of the same person and of different people.</p>'
    return f"<h3>{left}</h3>\n{note}" + table(["Cameras", "EER", "Same", "Different"], rows)


# --- figures -----------------------------------------------------------------------------------------------------


def distances(histogram: Mapping[str, Sequence[float]], *, threshold: float | None = None, across: str = "distance") -> bytes:
    """Histograms of the distances of genuine and impostor pairs; the bars of each kind sum to 1, since there are many more impostors.

    Args:
        histogram: ``edges``, B + 1 numbers; ``genuine`` and ``impostor``, B counts each.
        threshold: a distance to mark.
        across: the kind of distance, as the axis names it.

    Returns:
        an SVG.
    """
    drawn, axes = drawing.figure()
    edges = np.asarray(histogram["edges"], dtype=np.float64)
    kinds = {"genuine": "the same person", "impostor": "different people"}
    for number, (kind, name) in enumerate(kinds.items()):
        counts = np.asarray(histogram[kind], dtype=np.float64)
        colour = COLOURS[f"line{number + 1}"][0]
        axes.stairs(counts / max(counts.sum(), 1.0), edges, color=colour, linestyle=DASHES[number], linewidth=1.8, label=name)
        axes.stairs(counts / max(counts.sum(), 1.0), edges, color=colour, alpha=0.18, fill=True, linewidth=0)
    if threshold is not None:
        axes.axvline(threshold, color=COLOURS["faint"][0], linewidth=1.2, linestyle=DASHES[2])
    axes.set_xlim(edges[0], edges[-1])
    drawing.scale(axes, "percent")
    axes.set_ylim(bottom=0)
    axes.set_xlabel(across)
    drawing.legend(axes, kinds, above=False)
    return drawing.svg(drawn, "Distances of pairs of the same person and of different people")


def roc(curve: Mapping[str, Sequence[float]], *, eer: float | None = None) -> bytes:
    """The ROC curve: the share of genuine pairs that are accepted over that of impostor pairs, on a logarithmic axis.

    Args:
        curve: ``fpr`` and ``tpr``, of equal length.
        eer: where both errors are the same, marked by a dot.

    Returns:
        an SVG.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    drawn, axes = drawing.figure()
    fpr, tpr = (np.asarray(curve[name], dtype=np.float64) for name in ("fpr", "tpr"))
    some = fpr > 0
    colour = COLOURS["line1"][0]
    axes.plot(fpr[some], tpr[some], color=colour, linewidth=1.8)
    if eer:
        axes.plot([eer], [1 - eer], "o", color=colour, markersize=5)
    axes.set_xscale("log")
    axes.set_xlim(max(1e-6, fpr[some].min()) if some.any() else 1e-4, 1)
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.5g} %"))
    axes.set_ylim(0, 1.0)
    drawing.scale(axes, "percent")
    axes.set_xlabel("different people let through")
    return drawing.svg(drawn, "ROC curve")
