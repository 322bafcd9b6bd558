import cv2
import numpy as np
from matplotlib.axes import Axes

from reid_srdl.experiments import charts
from reid_srdl.experiments.lines import Line
from reid_srdl.experiments.statistics import paired, summary


def decoded(png):
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def line(arm, *values):
    return Line(arm, tuple(range(len(values))), {"top1": values}, {"top1": summary(values)}, {}, (), (), None, None, 0.0)


def test_every_arm_takes_room_and_one_seed_draws_without_a_spread():
    few = decoded(charts.arms([("A", [line("vanilla", 0.5)], {})], "top1"))
    more = decoded(charts.arms([("A", [line("vanilla", 0.5, 0.6), line("srdl", 0.5), line("half", 0.4)], {"srdl": 71.63})], "top1"))
    assert more.shape[0] > few.shape[0] and few.std() > 0


def test_a_panel_a_plan_and_a_panel_a_comparison():
    one = decoded(charts.schedules({"vanilla": [[0.1] * 4 + [0.01] * 2]}))
    two = decoded(charts.schedules({"vanilla": [[0.1] * 6], "srdl": [[0.1, 0.01], [0.1, 0.01]]}))
    assert two.shape[0] > one.shape[0]
    single = {"5,000 images": {20: paired([0.5], [0.4]), 60: paired([0.5, 0.6], [0.4, 0.6])}}
    assert decoded(charts.gains({"a − b": single, "a − c": single})).shape[1] > decoded(charts.gains({"a − b": single})).shape[1]


def test_a_single_seed_has_no_interval(monkeypatch):
    drawn = []
    monkeypatch.setattr(Axes, "errorbar", lambda self, x, y, yerr, **how: drawn.append(np.array(yerr)))
    monkeypatch.setattr(charts, "_png", lambda figure: b"")
    monkeypatch.setattr(Axes, "legend", lambda self, **how: None)
    charts.gains({"a − b": {"all": {20: paired([0.5], [0.4]), 60: paired([0.5, 0.6], [0.4, 0.6])}}})
    assert np.isnan(drawn[0][:, 0]).all() and (drawn[0][:, 1] > 0).all()


def test_a_curve_has_one_colour_in_all_panels_and_one_line_in_the_legend(monkeypatch):
    drawn, legends, points = [], [], {20: paired([0.5, 0.6], [0.4, 0.6])}
    monkeypatch.setattr(charts, "_png", lambda figure: b"")
    monkeypatch.setattr(Axes, "errorbar", lambda self, x, y, color, **how: drawn.append(color))
    monkeypatch.setattr(Axes, "legend", lambda self, labels, **how: legends.append(labels))
    charts.gains({"a − b": {"1,000": points, "2,000": points}, "a − c": {"2,000": points, "3,000": points}})
    assert drawn[1] == drawn[2] and len(set(drawn)) == 3 and legends == [["1,000", "2,000", "3,000"]]
