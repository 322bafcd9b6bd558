"""A picture of ``flatness.Curves``: loss and accuracy against the distance, all networks in the same axes, as in Fig. 4."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import files
from ..errors import UserError
from .charts import CYCLE, FAINT, INK, dress
from .flatness_profiles import Curves, Profile, band

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = [*CYCLE, "#8a3fa0", "#7a6a00", "#a3003f"]
_DASHES = {"train": "solid", "test": (0, (5, 2))}
_AXIS = {"unit": "distance d from the weights", "filter": "distance d from the weights, in norms of each filter"}
_FORMATS = ("png", "svg", "pdf")
_GUESSING = 20.0
"""Mean loss from which on the axis is logarithmic, since a linear one would hide all below; guessing among C classes costs ln C, less for any C in use."""


def plot(curves: Curves, path: files.Pathlike) -> None:
    """Draws the means over the directions, training solid and test dashed, with their standard deviation and, fainter, their range.

    A loss that is not finite is not drawn. Accuracy has a panel where it was measured.

    Args:
        curves: of any number of networks.
        path: whose ending is the format: .png, .svg or .pdf.

    Raises:
        UserError: another ending, or a place that cannot be written to.
    """
    kind = Path(path).suffix[1:].lower()
    if kind not in _FORMATS:
        raise UserError(f"{path} has the ending of no picture that is drawn here", f"Endings are {', '.join('.' + one for one in _FORMATS)}.")
    figure = _drawn(curves)
    buffer = io.BytesIO()
    import matplotlib

    # Without a date and with a fixed salt for names, so that the same curves give the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "flatness"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata={} if kind == "png" else {"CreationDate" if kind == "pdf" else "Date": None})
    files.write_bytes(path, buffer.getvalue())


def _drawn(curves: Curves) -> Figure:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    shown = ["loss"]
    if any(np.isfinite(profile.accuracy).any() for splits in curves.profiles.values() for profile in splits.values()):
        shown.append("accuracy")
    # Not pyplot, which keeps its figures in a global list.
    figure = Figure(figsize=(0.6 + 3.7 * len(shown), 3.5), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, what in zip(panels, shown, strict=True):
        dress(axes, grid="y")
        axes.set_title(what, loc="left", fontsize=10, color=INK)
        axes.set_xlabel(_AXIS[curves.settings.scale])
        axes.margins(x=0)
        for number, (name, splits) in enumerate(curves.profiles.items()):
            for split, profile in splits.items():
                _draw(axes, profile, what, _COLOURS[number % len(_COLOURS)], split, f"{name}, {split}")
        axes.set_ylim(bottom=0)
    if _highest(curves) > _GUESSING:
        panels[0].set_yscale("log", nonpositive="clip")
        panels[0].autoscale(axis="y")
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in panels[1:]:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
    if curves.settings.directions > 1:
        figure.supxlabel(f"means over {curves.settings.directions} directions, ± standard deviation, and range", color=FAINT, fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    # Legends are filled column by column: one column for each network, as long as they fit.
    figure.legend(
        handles, labels, loc="outside upper left", ncols=min(len(curves.profiles), 2 * len(shown)), frameon=False, fontsize=9, labelcolor=INK, handlelength=2.6,
    )  # fmt: skip
    return figure


def _highest(curves: Curves) -> float:
    """The highest finite mean loss; 0 where none is finite."""
    means = np.concatenate([band(profile.loss).mean for splits in curves.profiles.values() for profile in splits.values()])
    return float(means[np.isfinite(means)].max(initial=0))


def _draw(axes: Axes, profile: Profile, what: str, colour: str, split: str, label: str) -> None:
    over = band(profile.loss if what == "loss" else profile.accuracy)
    # Clipped to the range: mean - sd may be below zero, a loss that no network has and a log axis cannot show.
    near = np.maximum(over.mean - over.sd, over.low), np.minimum(over.mean + over.sd, over.high)
    for low, high, faint in ((over.low, over.high, 0.10), (*near, 0.16)):
        axes.fill_between(profile.distances, low, high, where=np.isfinite(low) & np.isfinite(high), color=colour, alpha=faint, linewidth=0)
    axes.plot(profile.distances, np.where(np.isfinite(over.mean), over.mean, np.nan), color=colour, linestyle=_DASHES.get(split, "dotted"), linewidth=1.8, label=label)
