import math

import pytest

from reid_srdl.config import ScheduleConfig
from reid_srdl.errors import UserError
from reid_srdl.training.schedules import SCHEDULES, cosine_rates, scheduled, step_rates


@pytest.mark.parametrize(
    ("length", "drops", "boundaries"),
    [(60, (0.5, 0.75), (30, 45)), (75, (0.5, 0.75), (38, 57)), (100, (0.5, 0.75), (50, 75)), (150, (0.5, 0.75), (75, 113)),
     (120, (0.5, 0.75), (60, 90)), (200, (0.5, 0.75), (100, 150)), (300, (0.5, 0.75), (150, 225)), (100, (0.07, 0.55), (7, 55))],
)  # fmt: skip
def test_the_rate_falls_at_each_boundary_and_nowhere_else(length, drops, boundaries):
    # 0.07 * 100 and 0.55 * 100 come out a hair above 7 and 55.
    rates = step_rates(0.1, length, drops, 0.1)
    assert len(rates) == length
    first, second = boundaries
    assert rates == pytest.approx([0.1] * first + [0.01] * (second - first) + [0.001] * (length - second))


def test_a_drop_is_by_its_factor():
    assert scheduled(ScheduleConfig(drops=(0.5, 0.75), factor=0.3), 1.0, 4) == pytest.approx([1.0, 1.0, 0.3, 0.09])


def test_one_epoch():
    assert step_rates(0.1, 1, (0.5, 0.75), 0.1) == (0.1,)
    assert cosine_rates(0.1, 1) == (0.1,)


def test_the_paper_s_schedule_is_the_default():
    assert scheduled(ScheduleConfig(), 0.1, 60) == step_rates(0.1, 60, (0.5, 0.75), 0.1)


def test_half_a_cosine():
    rates = cosine_rates(0.4, 8)
    assert rates == pytest.approx([0.2 * (1 + math.cos(math.pi * e / 8)) for e in range(8)])
    assert rates[0] == 0.4 and rates[4] == pytest.approx(0.2) and rates[-1] > 0
    assert cosine_rates(0.4, 8, final=0.25) == pytest.approx([0.1 + 0.75 * rate for rate in rates])


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_warm_up_grows_in_a_line_to_the_rate_it_would_have(name):
    config = ScheduleConfig(name, drops=(0.5,), warmup_epochs=4, warmup_from=0.2)
    rates = scheduled(config, 1.0, 10)
    assert len(rates) == 10 and rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(rates[5:]) <= 1.0


def test_a_warm_up_leaves_drops_where_they_are_and_a_cosine_begins_after_it():
    steps = scheduled(ScheduleConfig(drops=(0.5, 0.75), warmup_epochs=3, warmup_from=0.1), 0.1, 12)
    assert steps == pytest.approx([0.01, 0.04, 0.07, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001])
    cosine = scheduled(ScheduleConfig("cosine", warmup_epochs=3, warmup_from=0.1, final=0.1), 0.1, 12)
    assert cosine[:3] == pytest.approx([0.01, 0.04, 0.07]) and cosine[3:] == cosine_rates(0.1, 9, 0.1)


def test_a_drop_inside_the_warm_up_holds():
    rates = scheduled(ScheduleConfig(drops=(0.2,), warmup_epochs=4, warmup_from=0.0), 1.0, 10)
    assert rates == pytest.approx([0, 0.25, 0.05, 0.075, *[0.1] * 6])


def test_an_epoch_is_no_drop():
    with pytest.raises(UserError, match="the drop 50 is no fraction of the epochs"):
        step_rates(0.1, 100, (50, 75), 0.1)
