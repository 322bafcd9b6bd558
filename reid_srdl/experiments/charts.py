"""Pictures of what studies found, as PNG: arms with their spread, schedules, and gains against budget and size."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..report.plots import COLOURS
from .lines import SCORES, Line
from .statistics import Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, _GRID = (COLOURS[name][0] for name in ("ink", "faint", "grid"))
CYCLE = [COLOURS[name][0] for name in ("line1", "line2", "line3")]
_DPI = 150


def arms(parts: Sequence[tuple[str, Sequence[Line], Mapping[str, float]]], score: str) -> bytes:
    """Each arm's seeds as dots, their mean with its standard deviation, and the paper's value as a diamond; one panel for each study.

    Args:
        parts: (title, lines, the paper's values in percent by arm) of studies with finished runs.
        score: key of ``lines.SCORES``.
    """
    heights = [max(1, len(shown)) for _, shown, _ in parts]
    figure = _figure(7.0, 0.9 * len(parts) + 0.34 * sum(heights))
    panels = figure.subplots(len(parts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (title, shown, paper) in zip(panels, parts, strict=True):
        dress(axes, grid="x")
        for place, line in enumerate(shown):
            values = [100 * value for value in line.values.get(score, ())]
            if not values:
                continue
            one = line.summaries[score]
            axes.plot(values, [place] * len(values), "o", color=CYCLE[0], alpha=0.35, markersize=5, markeredgewidth=0)
            axes.errorbar(100 * one.mean, place, xerr=None if math.isnan(one.sd) else 100 * one.sd, fmt="|", color=INK, markersize=11, markeredgewidth=2, capsize=3)
            if line.arm in paper:
                axes.plot(paper[line.arm], place, "D", color=CYCLE[1], markersize=5)
        axes.set_yticks(range(len(shown)), [line.arm for line in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
    panels[-1].set_xlabel(f"{SCORES[score]} in percent: dots are seeds, bars mean ± SD" + (", diamonds the paper" if any(paper for *_, paper in parts) else ""))
    return _png(figure)


def schedules(rates: Mapping[str, Sequence[Sequence[float]]]) -> bytes:
    """The learning rate of every epoch (Fig. 3), one panel for each plan; a dotted line marks where a stage begins.

    Args:
        rates: plan to the rates of each of its stages.
    """
    figure = _figure(7.0, 1.7 * len(rates) + 0.4)
    panels = figure.subplots(len(rates), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, stages) in zip(panels, rates.items(), strict=True):
        dress(axes, grid="y")
        start = 0
        for number, stage in enumerate(stages):
            axes.step(range(start, start + len(stage) + 1), [*stage, stage[-1]], where="post", color=CYCLE[number % len(CYCLE)], linewidth=1.8)
            if number:
                axes.axvline(start, color=FAINT, linewidth=0.8, linestyle=(0, (3, 3)))
            start += len(stage)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_title(name, loc="left", fontsize=10, color=INK)
        axes.set_ylabel("rate", color=FAINT, fontsize=9)
    panels[-1].set_xlabel("epoch")
    return _png(figure)


def gains(panels: Mapping[str, Mapping[str, Mapping[int, Difference]]]) -> bytes:
    """Gain against the number of epochs with its 95% interval: one panel for each comparison, one curve for each number of training images.

    Args:
        panels: comparison (``srdl − vanilla``) to curve to epochs to the paired difference, as fractions.
    """
    figure = _figure(3.6 * len(panels) + 0.6, 3.4)
    drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    numbers, shown = {}, {}  # number and legend handle of each curve, which may be missing from some panels
    for axes, (title, curves) in zip(drawn, panels.items(), strict=True):
        dress(axes, grid="y")
        axes.axhline(0, color=INK, linewidth=1)
        for name, points in curves.items():
            number, epochs = numbers.setdefault(name, len(numbers)), sorted(points)
            means = [100 * points[epoch].mean for epoch in epochs]
            low, high = ([100 * getattr(points[epoch], end) for epoch in epochs] for end in ("low", "high"))  # NaN of a single seed, which draws no bar
            errors = [[mean - value for mean, value in zip(means, low, strict=True)], [value - mean for mean, value in zip(means, high, strict=True)]]
            shifted = [epoch * (1 + 0.03 * number) for epoch in epochs]  # so that bars do not hide each other
            shown[name] = axes.errorbar(shifted, means, yerr=errors, fmt="o-", color=CYCLE[number % len(CYCLE)], capsize=3, linewidth=1.6, markersize=4)
        every = sorted({epoch for points in curves.values() for epoch in points})
        axes.set_xscale("log")
        axes.set_xticks(every, [str(epoch) for epoch in every])
        axes.minorticks_off()
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("epochs in all")
    drawn[0].set_ylabel("gain in percentage points", color=FAINT, fontsize=9.5)
    drawn[0].legend(handles=list(shown.values()), labels=list(shown), frameon=False, fontsize=9, labelcolor=INK)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def dress(axes: Axes, *, grid: str) -> None:
    """What all pictures of studies have in common."""
    axes.grid(axis=grid, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(which="both", colors=FAINT, labelsize=9, length=0)
    axes.xaxis.label.set(color=FAINT, fontsize=9)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
