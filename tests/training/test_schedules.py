import pytest

from reid_srdl.training.schedules import step_rates


@pytest.mark.parametrize(
    ("length", "drops", "boundaries"),
    [(60, (0.5, 0.75), (30, 45)), (75, (0.5, 0.75), (38, 57)), (100, (0.5, 0.75), (50, 75)), (150, (0.5, 0.75), (75, 113)),
     (120, (0.5, 0.75), (60, 90)), (200, (0.5, 0.75), (100, 150)), (300, (0.5, 0.75), (150, 225)), (30, (0.1, 0.7), (3, 21))],
)  # fmt: skip
def test_the_rate_falls_at_each_boundary_and_nowhere_else(length, drops, boundaries):
    rates = step_rates(0.1, length, drops, 0.1)
    assert len(rates) == length
    first, second = boundaries
    assert rates == pytest.approx([0.1] * first + [0.01] * (second - first) + [0.001] * (length - second))


def test_one_epoch():
    assert step_rates(0.1, 1, (0.5, 0.75), 0.1) == (0.1,)
