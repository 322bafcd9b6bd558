import math

from reid_srdl.experiments import markdown
from reid_srdl.experiments.statistics import Difference


def test_numbers_as_they_are_read():
    assert markdown.percent(0.1234) == "12.3" and markdown.percent(math.nan) == "–"
    assert markdown.gain(Difference(3, 0.012, -0.003, 0.027)) == "+1.2 [-0.3, +2.7]"
    assert markdown.gain(Difference(1, -0.012, math.nan, math.nan)) == "-1.2"
    assert markdown.table(["a", "b"], [["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert markdown.table(["a"], [["x|y"]]).endswith("| x\\|y |")
