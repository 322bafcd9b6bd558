"""Curves as SVG that takes on the colours of the page around it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import drawing
from .drawing import COLOURS, DASHES, Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..diagnostics import Reliability

Row = dict[str, float | None]

TOLD = (1, 5, 10, 20)
"""Ranks that are usually reported."""

_FEW = 30


@dataclass(frozen=True)
class StageLog:
    """What a stage logged.

    Args:
        name: of the stage.
        epochs: how many it has when it is finished.
        rows: of its log, one for each epoch, in order.
    """

    name: str
    epochs: int
    rows: Sequence[Row]


def training(
    stages: Sequence[StageLog], columns: Mapping[str, str], *, scale: Scale = "linear", held: bool = False, label: str = ""
) -> bytes | None:
    """Columns of the log over all epochs, each stage a band with its name.

    Args:
        stages: in order.
        columns: name in the log to name in the legend; what was never logged is left out.
        scale: of the vertical axis.
        held: whether values hold for the whole epoch, as learning rates do, and are drawn as steps; else they are points at its end.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG; none where nothing was logged.
    """
    logged = {column: name for column, name in columns.items() if any(True for stage in stages for _ in _values(stage, column))}
    if not logged:
        return None
    figure, axes = drawing.figure()
    _mark(axes, stages)
    few = sum(stage.epochs for stage in stages) <= _FEW
    for number, (column, name) in enumerate(logged.items()):
        style = {"color": COLOURS[f"line{number + 1}"][0], "linestyle": DASHES[number], "linewidth": 1.8, "clip_on": False}
        before = 0
        for stage in stages:
            values = [(epoch, value) for epoch, value in _values(stage, column) if scale != "log" or value > 0]  # a warm-up may begin at 0
            epochs, heights = [before + epoch for epoch, _ in values], [value for _, value in values]
            # Each stage has a line of its own: between two stages nothing changes gradually, since training starts anew.
            known = name if values and name is not None else None
            if held and values:
                axes.step([*epochs, epochs[-1] + 1], [*heights, heights[-1]], where="post", label=known, **style)
            elif values:
                gaps = len(values) < len(stage.rows)
                marks = {"marker": "o", "markersize": 3.2} if few or gaps or len(values) == 1 else {}
                axes.plot([epoch + 1 for epoch in epochs], heights, label=known, **style, **marks)
            name = None if known else name
            before += stage.epochs
    axes.set_xlim(0, max(1, sum(stage.epochs for stage in stages)))
    axes.set_xlabel("epoch")
    drawing.scale(axes, scale)
    if held:
        levels = sorted({value for column in logged for stage in stages for _, value in _values(stage, column) if value > 0})
        if len(levels) <= 6:
            axes.set_yticks(levels)
    drawing.legend(axes, logged, above=len(stages) > 1)
    return drawing.svg(figure, label or ", ".join(logged.values()))


def cmc(curves: Mapping[str, Mapping[int, float]], *, label: str = "CMC curve") -> bytes:
    """CMC curves: the share of queries with a match among the first 1, 2, … items.

    Args:
        curves: name in the legend to the share at each known rank; three curves at most.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = drawing.figure()
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[f"line{number + 1}"][0]
        ranks = sorted(curve)
        axes.plot(ranks, [curve[rank] for rank in ranks], color=colour, linestyle=DASHES[number], linewidth=1.8, label=name, clip_on=False)
        told = [rank for rank in TOLD if rank in curve]
        axes.plot(told, [curve[rank] for rank in told], "o", color=colour, markersize=4.5, clip_on=False)
    shares = [share for curve in curves.values() for share in curve.values()]
    axes.set_ylim(max(0.0, math.floor(min(shares) * 10 - 0.5) / 10), 1.0 if max(shares) > 0.6 else max(shares) * 1.05 + 1e-3)
    axes.margins(x=0.03)
    deepest = max(rank for curve in curves.values() for rank in curve)
    axes.set_xticks([rank for rank in (*TOLD, 30, 40, 50) if rank <= deepest])
    axes.set_xlabel("rank")
    drawing.scale(axes, "percent")
    drawing.legend(axes, curves, above=False)
    return drawing.svg(figure, label)


def reliability(curves: Mapping[str, Reliability], *, label: str = "Reliability diagram") -> bytes:
    """A reliability diagram: accuracy over confidence (Guo et al. 2017), with the diagonal on which the two are equal.

    Args:
        curves: name in the legend to what is drawn; three at most. The more predictions in a bin, the larger its dot.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = drawing.figure()
    axes.plot([0, 1], [0, 1], color=COLOURS["faint"][0], linestyle=DASHES[2], linewidth=1.2)
    for number, (name, found) in enumerate(curves.items()):
        colour, some = COLOURS[f"line{number + 1}"][0], found.counts > 0
        axes.plot(found.confidence[some], found.accuracy[some], color=colour, linestyle=DASHES[number], linewidth=1.8, label=name, clip_on=False)
        share = found.counts[some] / found.counts.sum()
        axes.scatter(found.confidence[some], found.accuracy[some], s=8 + 160 * share, color=colour, linewidths=0, clip_on=False, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    drawing.scale(axes, "percent")
    axes.xaxis.set_major_formatter(axes.yaxis.get_major_formatter())
    axes.set_xlabel("confidence")
    drawing.legend(axes, curves, above=False)
    return drawing.svg(figure, label)


def histogram(counts: Sequence[int], *, across: str, label: str) -> bytes:
    """A histogram: numbers of images over a quantity from 0 to 1.

    Args:
        counts: images in each of the bins, which have equal width.
        across: the quantity, as the axis names it.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = drawing.figure()
    width = 1 / len(counts)
    axes.bar([(number + 0.5) * width for number in range(len(counts))], counts, width=0.86 * width, color=COLOURS["line1"][0], linewidth=0)
    axes.set_xlim(0, 1)
    drawing.scale(axes, "linear")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(across)
    return drawing.svg(figure, label)


def _values(stage: StageLog, column: str) -> Iterator[tuple[int, float]]:
    for row in stage.rows:
        value = row.get(column)
        if value is not None and math.isfinite(value):
            yield int(row["epoch"] or 0), value


def _mark(axes: Axes, stages: Sequence[StageLog]) -> None:
    """Marks the stages where there are several: every second one by a band, each by its name at the top and a line where it begins."""
    if len(stages) < 2:
        return
    start = 0
    for number, stage in enumerate(stages):
        end = start + stage.epochs
        if number % 2:
            axes.axvspan(start, end, color=COLOURS["band"][0], linewidth=0, zorder=0)
        if number:
            axes.axvline(start, color=COLOURS["faint"][0], linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
        # Just above the axes, where no curve passes.
        axes.text(
            (start + end) / 2, 1.015, stage.name, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
            color=COLOURS["faint"][0], fontsize=9.5,
        )  # fmt: skip
        start = end
