"""Curves as SVG that follows the colours of the page that it stands in."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..diagnostics import Calibration

Row = dict[str, float | None]
Scale = Literal["linear", "log", "percent"]

COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#20262e", "#e6e9ee"),
    "faint": ("#667080", "#98a2b1"),
    "grid": ("#dfe3e9", "#343b46"),
    "band": ("#eff3f8", "#20262f"),
    "line1": ("#0a62b5", "#6cb2ff"),
    "line2": ("#b4500a", "#f3a15c"),
    "line3": ("#0b7a5a", "#52cfa5"),
}
"""Each colour in a light and a dark page. In the SVG it is the CSS variable ``--NAME``, the light one where that is not set."""

TOLD = (1, 5, 10, 20)
"""Ranks that the field tells of."""

_DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)))  # for readers who do not see the colours apart
_SIZE = (4.8, 3.0)  # inches; the text stays readable when a phone shows all of it
_FEW = 30


@dataclass(frozen=True)
class StageLog:
    """What a stage logged.

    Args:
        name: of the stage.
        epochs: that it has when it is finished.
        rows: of its log, an epoch each, in order.
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
        held: values hold for the whole epoch, as rates do, and are drawn as steps; else they are points at the epoch's end.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG; none where nothing was logged.
    """
    logged = {column: name for column, name in columns.items() if any(True for stage in stages for _ in _values(stage, column))}
    if not logged:
        return None
    figure, axes = _figure()
    _mark(axes, stages)
    few = sum(stage.epochs for stage in stages) <= _FEW
    for number, (column, name) in enumerate(logged.items()):
        style = {"color": COLOURS[f"line{number + 1}"][0], "linestyle": _DASHES[number], "linewidth": 1.8, "clip_on": False}
        before = 0
        for stage in stages:
            values = list(_values(stage, column))
            epochs, heights = [before + epoch for epoch, _ in values], [value for _, value in values]
            # A line of its own for each stage: what happens between two is no change but a new start.
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
    _scale(axes, scale)
    if held:
        levels = sorted({value for column in logged for stage in stages for _, value in _values(stage, column)})
        if len(levels) <= 6:
            axes.set_yticks(levels)
    _legend(axes, logged, above=len(stages) > 1)
    return _svg(figure, label or ", ".join(logged.values()))


def cmc(curves: Mapping[str, Mapping[int, float]], *, label: str = "CMC curve") -> bytes:
    """Share of queries with a match among the first 1, 2, … items.

    Args:
        curves: name in the legend to the share at each rank that is known; three curves at most.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = _figure()
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[f"line{number + 1}"][0]
        ranks = sorted(curve)
        axes.plot(ranks, [curve[rank] for rank in ranks], color=colour, linestyle=_DASHES[number], linewidth=1.8, label=name, clip_on=False)
        told = [rank for rank in TOLD if rank in curve]
        axes.plot(told, [curve[rank] for rank in told], "o", color=colour, markersize=4.5, clip_on=False)
    shares = [share for curve in curves.values() for share in curve.values()]
    axes.set_ylim(max(0.0, math.floor(min(shares) * 10 - 0.5) / 10), 1.0 if max(shares) > 0.6 else max(shares) * 1.05 + 1e-3)
    axes.margins(x=0.03)
    deepest = max(rank for curve in curves.values() for rank in curve)
    axes.set_xticks([rank for rank in (*TOLD, 30, 40, 50) if rank <= deepest])
    axes.set_xlabel("rank")
    _scale(axes, "percent")
    _legend(axes, curves, above=False)
    return _svg(figure, label)


def reliability(curves: Mapping[str, Calibration], *, label: str = "Reliability diagram") -> bytes:
    """Accuracy over confidence (Guo et al. 2017), beside the line on which confidence can be taken at its word.

    Args:
        curves: name in the legend to what is drawn; three at most. A dot is larger where more predictions are.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color=COLOURS["faint"][0], linestyle=_DASHES[2], linewidth=1.2)
    for number, (name, found) in enumerate(curves.items()):
        colour, some = COLOURS[f"line{number + 1}"][0], found.counts > 0
        axes.plot(found.confidence[some], found.accuracy[some], color=colour, linestyle=_DASHES[number], linewidth=1.8, label=name, clip_on=False)
        share = found.counts[some] / found.counts.sum()
        axes.scatter(found.confidence[some], found.accuracy[some], s=8 + 160 * share, color=colour, linewidths=0, clip_on=False, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _scale(axes, "percent")
    axes.xaxis.set_major_formatter(axes.yaxis.get_major_formatter())
    axes.set_xlabel("confidence")
    _legend(axes, curves, above=False)
    return _svg(figure, label)


def histogram(counts: Sequence[int], *, across: str, label: str) -> bytes:
    """Bars of images over a share from 0 to 1.

    Args:
        counts: images in bins of equal width.
        across: what the share is of.
        label: of the figure, for those who cannot see it.

    Returns:
        an SVG.
    """
    figure, axes = _figure()
    width = 1 / len(counts)
    axes.bar([(number + 0.5) * width for number in range(len(counts))], counts, width=0.86 * width, color=COLOURS["line1"][0], linewidth=0)
    axes.set_xlim(0, 1)
    _scale(axes, "linear")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(across)
    return _svg(figure, label)


def _values(stage: StageLog, column: str) -> Iterator[tuple[int, float]]:
    for row in stage.rows:
        value = row.get(column)
        if value is not None and math.isfinite(value):
            yield int(row["epoch"] or 0), value


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    # Not pyplot, which keeps its figures in a global list.
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.grid(axis="y", color=COLOURS["grid"][0], linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["faint"][0])
    axes.tick_params(which="both", colors=COLOURS["faint"][0], labelsize=9.5, length=3, width=0.7)
    axes.tick_params(axis="y", which="both", length=0)
    axes.xaxis.label.set(color=COLOURS["faint"][0], fontsize=9.5)
    return figure, axes


def _mark(axes: Axes, stages: Sequence[StageLog]) -> None:
    """Every second stage in a band, its name at the top, a line where it begins."""
    if len(stages) < 2:
        return
    start = 0
    for number, stage in enumerate(stages):
        end = start + stage.epochs
        if number % 2:
            axes.axvspan(start, end, color=COLOURS["band"][0], linewidth=0, zorder=0)
        if number:
            axes.axvline(start, color=COLOURS["faint"][0], linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
        # On the boundary between axes and legend, where no curve passes.
        axes.text(
            (start + end) / 2, 1.015, stage.name, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
            color=COLOURS["faint"][0], fontsize=9.5,
        )  # fmt: skip
        start = end


def _scale(axes: Axes, scale: Scale) -> None:
    from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator

    if axes.get_xlabel() == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    if scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        if low > 0 and high / low < 12:  # between two powers of ten there would be no number at all
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        plain = low >= 1e-6 and high < 1e6
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.7g}") if plain else LogFormatterSciNotation())
    elif scale == "percent":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    else:
        axes.update_datalim([(0, 0)], updatex=False)  # from zero, with the margin above that goes with it
        axes.autoscale_view()
        axes.set_ylim(bottom=min(0.0, axes.dataLim.y0))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))


def _legend(axes: Axes, names: Mapping[str, object], *, above: bool) -> None:
    """Over the axes; over the names of the stages where those stand there. A single line needs none: the title says it."""
    if len(names) < 2:
        return
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.13 if above else 1.06), ncols=len(names), frameon=False, borderaxespad=0, borderpad=0,
        fontsize=9.5, labelcolor=COLOURS["ink"][0], handlelength=1.8, handletextpad=0.5, columnspacing=1.2,
    )  # fmt: skip


def _svg(figure: Figure, label: str) -> bytes:
    """One ``<svg>`` element, without links, the same bytes for the same figure."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    # Text stays text, in the font of the page; the salt keeps the names of clip paths apart in a page of many figures.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    for name, (light, _) in COLOURS.items():
        text = text.replace(light, f"var(--{name}, {light})")
    spoken = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{spoken}"', 1).strip().encode()
