"""Curves: what is drawn where, and SVG that fits into any page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from reid_srdl.diagnostics import reliability
from reid_srdl.report import plots
from reid_srdl.report.plots import StageLog


def rows(values: list[float | None], column: str = "loss") -> list[dict[str, float | None]]:
    return [{"epoch": float(epoch), column: value} for epoch, value in enumerate(values)]


def texts(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def curves(svg: bytes, line: str = "line1") -> list[int]:
    """Corners of each curve in a colour; of lines in the legend too."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: none;[^"]*stroke: var\(--{line},', svg.decode())
    return [len(re.findall("[ML]", path)) for path in paths]


TWO = [StageLog("first", 3, rows([3.0, 2.0, 1.0])), StageLog("second", 4, rows([4.0, 3.0, 2.0, 1.5]))]


def test_each_stage_has_a_curve_of_its_own_and_its_name():
    svg = plots.training(TWO, {"loss": "loss"})
    assert curves(svg) == [3, 4]
    assert {"first", "second", "epoch"} <= set(texts(svg))


def test_one_stage_is_not_marked():
    assert "first" not in texts(plots.training(TWO[:1], {"loss": "loss"}))


def test_the_axis_goes_to_the_end_of_stages_that_have_not_begun():
    began = [StageLog("first", 3, rows([3.0])), StageLog("second", 37, [])]
    assert "40" in texts(plots.training(began, {"loss": "loss"}))


def test_rates_are_steps_that_hold_for_their_epoch_and_are_named_at_the_axis():
    stage = StageLog("first", 4, rows([0.1, 0.1, 0.01, 0.001], "rate"))
    svg = plots.training([stage], {"rate": "rate"}, scale="log", held=True)
    assert {"0.1", "0.01", "0.001"} <= set(texts(svg))
    (path,) = re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: var\(--line1,', svg.decode())
    points = [tuple(map(float, point.split())) for point in re.findall(r"[ML] ([\d.]+ [\d.]+)", path)]
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in zip(points, points[1:], strict=False))
    # Four epochs of one width: the last rate holds for as long as the first ones.
    lengths = [b[0] - a[0] for a, b in zip(points, points[1:], strict=False) if a[1] == b[1] and b[0] > a[0]]
    assert sum(lengths) == pytest.approx(4 * lengths[-1], rel=1e-3)


def test_a_rate_that_begins_at_0_leaves_the_others_their_room(recwarn):
    svg = plots.training([StageLog("first", 4, rows([0.0, 0.1, 0.01, 0.001], "rate"))], {"rate": "rate"}, scale="log", held=True)
    assert {"0.1", "0.01", "0.001"} <= set(texts(svg))
    heights = [float(height) for height in re.findall(r"[ML] [\d.]+ ([\d.]+)", re.findall(r'<path d="([^"]*)"[^>]*style="fill: none; stroke: var\(--line1,', svg.decode())[0])]
    assert max(heights) - min(heights) > 100, "the steps fill the height of the figure"
    assert not [warning for warning in recwarn if "collapsed" in str(warning.message)]


def test_what_was_not_measured_is_left_out():
    stage = StageLog("first", 4, rows([None, 0.5, None, float("nan")], "val_mAP"))
    assert plots.training([stage], {"val_rank1": "Rank-1"}) is None
    svg = plots.training([stage], {"val_rank1": "Rank-1", "val_mAP": "mAP"}, scale="percent")
    assert "Rank-1" not in texts(svg) and b"nan" not in svg.lower()


def test_several_lines_have_a_legend_and_one_has_none():
    assert not {"loss", "again"} & set(texts(plots.training(TWO, {"loss": "loss"})))
    both = [StageLog("first", 2, [{"epoch": 0.0, "loss": 1.0, "cross_entropy": 0.5}])]
    assert {"loss", "part"} <= set(texts(plots.training(both, {"loss": "loss", "cross_entropy": "part"})))


@pytest.mark.parametrize("shares", [{1: 0.9, 5: 0.97, 10: 1.0}, {rank: 0.02 * rank for rank in range(1, 11)}, {1: 0.0}, {1: 1.0, 2: 1.0}])
def test_the_cmc_curve_takes_any_shares(shares):
    assert curves(plots.cmc({"Single query": shares}))[0] == len(shares)


def test_the_cmc_curve_tells_its_curves_apart():
    svg = plots.cmc({"Single query": {1: 0.5, 5: 0.6}, "Multi-query": {1: 0.7, 5: 0.8}})
    assert {"Single query", "Multi-query", "rank"} <= set(texts(svg))
    assert curves(svg, "line1") and curves(svg, "line2")


def test_the_reliability_diagram_shows_the_bins_that_hold_something():
    found = reliability(np.array([0.95, 0.97, 0.55, 0.3]), np.array([True, True, False, True]))
    svg = plots.reliability({"first stage": found, "the network": found})
    assert {"first stage", "the network", "confidence", "100 %"} <= set(texts(svg))
    assert curves(svg)[0] == curves(svg, "line2")[0] == 3


def test_a_histogram_has_a_bar_for_each_bin():
    svg = plots.histogram([5, 0, 2, 0], across="share", label="images")
    bars = re.findall(r'<path d="([^"]*)"[^>]*style="fill: var\(--line1,', svg.decode())
    assert len(bars) == 4 and "share" in texts(svg)
    assert plots.histogram([0, 0], across="share", label="empty")


def test_svg_stands_alone_without_links_and_is_the_same_each_time():
    svg = plots.training(TWO, {"loss": "loss"}, label='losses & "more" <here>')
    assert svg == plots.training(TWO, {"loss": "loss"}, label='losses & "more" <here>')
    assert ElementTree.fromstring(svg).attrib["aria-label"] == 'losses & "more" <here>'
    assert b"<metadata" not in svg and not re.search(rb'href="(?!#)', svg)


def test_all_colours_follow_the_page():
    svg = plots.training(TWO, {"loss": "loss"}).decode()
    for light, _ in plots.COLOURS.values():
        assert light not in re.sub(r"var\(--\w+, #\w+\)", "", svg)


def test_the_users_matplotlib_is_left_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.cmc({"Single query": {1: 0.5}})
    assert dict(matplotlib.rcParams) == before
