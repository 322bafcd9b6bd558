"""What all figures share: colours, size and axes, and SVG that takes on the colours of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
"""Each colour on a light and on a dark page. The SVG uses the CSS variable ``--NAME``, and the light colour where that is not set."""

DASHES = ("solid", (0, (5, 2)), (0, (1, 1.4)))
"""Dashes of the first three lines of a figure, for readers who cannot tell the colours apart."""

_SIZE = (4.8, 3.0)  # inches; small enough that the text is readable where a phone shows the whole figure


def figure() -> tuple[Figure, Axes]:
    """An empty figure of the common size, with a transparent background."""
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


def scale(axes: Axes, scale: Scale) -> None:
    """Sets the vertical axis: linear from zero, logarithmic, or shares as percentages; on a horizontal axis of epochs, ticks are whole numbers."""
    from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator

    if axes.get_xlabel() == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    if scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        low, high = axes.get_ylim()
        if low > 0 and high / low < 12:  # a range that lies between two powers of ten would have no tick
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
        plain = low >= 1e-6 and high < 1e6
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.7g}") if plain else LogFormatterSciNotation())
    elif scale == "percent":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    else:
        axes.update_datalim([(0, 0)], updatex=False)  # so that the margin at the top fits an axis from zero
        axes.autoscale_view()
        axes.set_ylim(bottom=min(0.0, axes.dataLim.y0))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))


def legend(axes: Axes, names: Mapping[str, object], *, above: bool) -> None:
    """Puts a legend over the axes, or with ``above`` over the names of stages that stand there. A single line gets none: the title names it."""
    if len(names) < 2:
        return
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.13 if above else 1.06), ncols=len(names), frameon=False, borderaxespad=0, borderpad=0,
        fontsize=9.5, labelcolor=COLOURS["ink"][0], handlelength=1.8, handletextpad=0.5, columnspacing=1.2,
    )  # fmt: skip


def svg(figure: Figure, label: str) -> bytes:
    """The figure as one ``<svg>`` element, without links; the same figure gives the same bytes. ``label`` is for those who cannot see it."""
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
